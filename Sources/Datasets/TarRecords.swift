import Foundation
import Ground

/// WebDataset: a tar archive in which files that follow one another and differ only in their endings are one record.
///
/// `.json` gives its members, `.txt` is `text`, `.cls` is `label`, pictures are `image`; other endings are left alone.
final class TarRecords: RecordContainer {
  private let file: OpenFile
  private let members: [TarIndex.Member]
  /// The first member of each record, and their count behind the last.
  private let starts: [Int]

  private static let pictures: Set<String> = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"]

  /// - Parameter cache: where the index of a large archive is kept; nil for none.
  init(_ file: OpenFile, cache: CacheFolder? = nil) throws {
    self.file = file
    let scan = { try TarIndex(file) }
    let index = try cache.map { try RecordIndexCache(cache: $0).index(of: file, kind: "tar", scan: scan) } ?? scan()
    // As WebDataset does, names that begin with a point, or have none, are passed over.
    members = index.members.filter { TarRecords.split($0.name) != nil }
    var starts: [Int] = []
    var last: Substring?
    for (index, member) in members.enumerated() {
      guard let key = TarRecords.split(member.name)?.key, key != last else { continue }
      starts.append(index)
      last = key
    }
    guard !starts.isEmpty else { throw Fault(.badData, "no records", at: file.name, "check the archive") }
    self.starts = starts + [members.count]
  }

  /// `folder/0001` and `seg.png` of `folder/0001.seg.png`.
  private static func split(_ name: String) -> (key: Substring, ending: Substring)? {
    let begin = name.lastIndex(of: "/").map(name.index(after:)) ?? name.startIndex
    guard let point = name[begin...].firstIndex(of: "."), point > begin else { return nil }
    return (name[..<point], name[name.index(after: point)...])
  }

  var path: String { file.name }
  var count: Int { starts.count - 1 }

  func place(of number: Int) -> String {
    "\(path), member \(TarRecords.split(members[starts[number]].name)?.key ?? "")"
  }

  func record(_ number: Int) throws -> StoredRecord {
    do {
      return try read(number)
    } catch let fault as Fault {
      throw fault.placed(at: place(of: number))
    }
  }

  private func read(_ number: Int) throws -> StoredRecord {
    var json: JSON = ["__key__": .string(String(TarRecords.split(members[starts[number]].name)?.key ?? ""))]
    var images: [ImageLocation] = []
    var endings: Set<String> = []
    for member in members[starts[number]..<starts[number + 1]] {
      guard let ending = TarRecords.split(member.name)?.ending.lowercased() else { continue }
      guard endings.insert(ending).inserted else {
        throw Fault(.badData, "two members '\(member.name)'", "keep one of them")
      }
      switch ending.split(separator: ".").last.map(String.init) ?? "" {
      case "json":
        let value = try JSON(parsing: text(of: member), at: "\(path), member \(member.name)")
        json = value.object?.reduce(json) { $0.setting($1.key, to: $1.value) } ?? json.setting("json", to: value)
      case "txt": json = json.setting("text", to: .string(try text(of: member)))
      case "cls":
        let label = try text(of: member).trimmingCharacters(in: .whitespacesAndNewlines)
        json = json.setting("label", to: Int(label).map(JSON.integer) ?? .string(label))
      case let picture where TarRecords.pictures.contains(picture):
        guard member.count <= ImageLocation.longestPart else {
          throw Fault(.badData, "'\(member.name)' has \(member.count) bytes", "use smaller pictures")
        }
        images.append(
          .part(of: file, offset: member.offset, count: member.count, name: "\(path), member \(member.name)"))
      default: break
      }
    }
    if !images.isEmpty {
      let references = images.indices.map(ImageReference.json(attachment:))
      // The archive's own picture takes the place of the name that a record brought from elsewhere.
      json = json.without(["images"]).setting("image", to: references.count == 1 ? references[0] : .array(references))
    }
    return StoredRecord(json: json, attachments: images)
  }

  private func text(of member: TarIndex.Member) throws -> String {
    guard member.count <= RecordIndex.longestRecord else {
      throw Fault(.badData, "'\(member.name)' has \(member.count) bytes", "use smaller texts")
    }
    let data = try file.read(at: member.offset, count: member.count)
    guard let text = String(validating: data, as: UTF8.self) else {
      throw Fault(.badData, "'\(member.name)' is not UTF-8", "save it as UTF-8")
    }
    return text
  }
}
