import Ground

/// Takes the tags of regions out of a record's turns: `<region:NAME>words</region>`, and ms-swift's `<ref-object>` and
/// `<bbox>`, which stand for the next words and the next box of `objects`.
struct RegionTags {
  private let members: RegionMembers
  private var mentions = 0
  private var references = 0
  private var boxes = 0
  /// The regions that were spoken of.
  private var named: Set<Int> = []

  private static let opening = Array("<region:".utf8)
  private static let closing = Array("</region>".utf8)
  private static let reference = Array("<ref-object>".utf8)
  private static let box = Array("<bbox>".utf8)

  /// Whether a text holds a tag.
  static func stand(in text: String) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
      var start = 0
      while let place = bytes[start...].firstIndex(of: UInt8(ascii: "<")) {
        let rest = bytes[place...]
        if [opening, closing, reference, box].contains(where: rest.starts) { return true }
        start = place + 1
      }
      return false
    }
  }

  /// The turns as they read without tags, and where regions stand in them.
  /// - Parameter isWhole: whether every region must be spoken of.
  /// - Throws: `Fault(.badData)` without a place for tags without a region, and regions without a tag.
  static func read(_ turns: [Turn], _ members: RegionMembers, isWhole: Bool = true) throws -> [Turn] {
    var tags = RegionTags(members: members)
    let plain = try turns.map { try tags.read($0) }
    if isWhole { try tags.finish() }
    return plain
  }

  private init(members: RegionMembers) { self.members = members }

  private mutating func read(_ turn: Turn) throws -> Turn {
    let bytes = Array(turn.text.utf8)
    var text: [UInt8] = []
    var found: [RegionMention] = []
    var open: (region: Int, name: String, start: Int)?
    var position = 0
    while position < bytes.count {
      let rest = bytes[position...]
      if bytes[position] != UInt8(ascii: "<") {
        text.append(bytes[position])
        position += 1
      } else if rest.starts(with: RegionTags.opening) {
        let name = try RegionTags.name(rest.dropFirst(RegionTags.opening.count))
        if let open {
          throw Fault(
            .badData, "<region:\(name)> inside <region:\(open.name)>", "close the first with </region> before")
        }
        open = (try region(name), name, text.count)
        position += RegionTags.opening.count + name.utf8.count + 1
      } else if rest.starts(with: RegionTags.closing) {
        guard let (region, name, start) = open else {
          throw Fault(.badData, "</region> without <region:NAME>", "remove it, or name the region before the words")
        }
        guard occurrences(of: Record.imageTag, in: String(decoding: text[start...], as: UTF8.self)).isEmpty else {
          throw Fault(.badData, "\(Record.imageTag) inside <region:\(name)>", "put the picture before it")
        }
        found.append(mention(start..<text.count, start == text.count ? .box : .tagged, region))
        open = nil
        position += RegionTags.closing.count
      } else if rest.starts(with: RegionTags.reference) {
        guard references < members.references.count else { throw tooMany("<ref-object>", "ref", references) }
        let start = text.count
        text += members.references[references].utf8
        let region = members.bindsReferences ? members.boxes[references] : nil
        found.append(mention(start..<text.count, .reference, region))
        references += 1
        position += RegionTags.reference.count
      } else if rest.starts(with: RegionTags.box) {
        guard boxes < members.boxes.count else { throw tooMany("<bbox>", "bbox", boxes) }
        found.append(mention(text.count..<text.count, .box, members.boxes[boxes]))
        boxes += 1
        position += RegionTags.box.count
      } else {
        text.append(bytes[position])
        position += 1
      }
    }
    if let open { throw Fault(.badData, "<region:\(open.name)> is not closed", "put </region> behind its words") }
    return turn.saying(String(decoding: text, as: UTF8.self), mentions: found)
  }

  private mutating func mention(_ range: Range<Int>, _ form: RegionMention.Form, _ region: Int?) -> RegionMention {
    defer { mentions += 1 }
    if form != .reference, let region { named.insert(region) }
    return RegionMention(range: range, form: form, region: region, number: mentions)
  }

  /// The name that a tag goes on with.
  private static func name(_ rest: ArraySlice<UInt8>) throws -> String {
    guard let end = rest.prefix(256).firstIndex(of: UInt8(ascii: ">")), end > rest.startIndex else {
      throw Fault(.badData, "<region: without a name and >", "write <region:NAME>words</region>")
    }
    return String(decoding: rest[..<end], as: UTF8.self)
  }

  private func region(_ name: String) throws -> Int {
    if let number = members.numbers[name] { return number }
    throw Fault(
      .badData, "tag <region:\(name)> without a region\(didYouMean(name, among: members.numbers.keys.sorted()))",
      "give the record that region, or remove the tag")
  }

  private func tooMany(_ tag: String, _ key: String, _ count: Int) -> Fault {
    Fault(
      .badData, "more \(tag) tags than the \(count) of 'objects.\(key)'", "give each tag its own, or remove the tag")
  }

  private func finish() throws {
    for (tag, key, used, count) in [
      ("<ref-object>", "ref", references, members.references.count), ("<bbox>", "bbox", boxes, members.boxes.count),
    ] where used < count {
      throw Fault(
        .badData, "\(used) \(tag) tags for \(count) of 'objects.\(key)'", "put \(tag) where each belongs")
    }
    if let silent = members.numbers.filter({ !named.contains($0.value) }).keys.min() {
      throw Fault(
        .badData, "region '\(silent)' without a tag",
        "write <region:\(silent)>words</region> in the text, or remove it")
    }
  }
}
