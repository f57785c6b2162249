import Datasets
import Foundation
import Ground
import Synchronization

/// Looks at the records of a set one by one.
final class Inspector: Sendable {
  /// A range of records, looked at.
  struct Look: Sendable {
    var facts: [RecordFacts] = []
    /// The words of questions, by their hashes.
    var words: [UInt32: String] = [:]
    var columns = ColumnSurvey()
  }

  private let set: InspectedSet
  private let columns: [String]
  private let store: FactStore
  private let pictures: PictureLook

  /// - Parameter columns: paths in the metadata that records are grouped by.
  init(_ set: InspectedSet, columns: [String], _ store: FactStore) {
    (self.set, self.columns, self.store) = (set, columns, store)
    pictures = PictureLook(store)
  }

  /// The look at the records of `range`, the same on any number of threads.
  /// - Parameter progress: told how many records are done, now and then.
  func look(at range: Range<Int>, threads: Int, progress: @escaping @Sendable (Int) -> Void) -> Look {
    let block = 128
    let blocks = (range.count + block - 1) / block
    let next = Atomic<Int>(0)
    let results = Mutex<[Int: Look]>([:])
    runThreads(threads) {
      while true {
        let number = next.add(1, ordering: .relaxed).oldValue
        guard number < blocks else { return }
        let start = range.lowerBound + number * block
        let own = self.look(at: start..<min(start + block, range.upperBound))
        let done = results.withLock { results in
          results[number] = own
          return results.count
        }
        progress(min(done * block, range.count))
      }
    }
    return results.withLock { results in
      (0..<blocks).reduce(into: Look()) { whole, number in
        guard let part = results[number] else { return }
        whole.facts += part.facts
        whole.words.merge(part.words) { min($0, $1) }
        whole.columns.merge(part.columns)
      }
    }
  }

  private func look(at range: Range<Int>) -> Look {
    var look = Look()
    for index in range {
      switch set.content {
      case .conversations(let records, let processor):
        look.facts.append(conversation(index, records, processor, &look))
      case .pairs(let records, let samples): look.facts.append(pair(index, records, samples, &look))
      case .labelled(let records, let samples): look.facts.append(labelled(index, records, samples, &look))
      }
    }
    return look
  }

  /// A record; where it cannot be read that is a finding.
  private func read<Record>(_ index: Int, _ facts: inout RecordFacts, _ record: (Int) throws -> Record) -> Record? {
    do {
      let found = try record(index)
      facts.isRead = true
      return found
    } catch {
      facts.findings = [Finding(reading: asFault(error), file: set.file(of: index), record: index)]
      return nil
    }
  }

  // MARK: Conversations

  private func conversation(
    _ index: Int, _ records: RecordSet, _ processor: Processor, _ look: inout Look
  ) -> RecordFacts {
    var facts = RecordFacts()
    guard let record = read(index, &facts, records.record) else { return facts }
    see(record.images, record.place, index, &facts)
    // Only pictures that are trained on are changed.
    var own = processor
    if index >= set.trainingCount { own.augmentation = nil }
    encode(record, own, &facts)
    facts.findings += turnFindings(record)
    note(record.metadata, &facts, &look)
    describe(record, &facts, &look)
    return facts
  }

  private func encode(_ record: Record, _ processor: Processor, _ facts: inout RecordFacts) {
    var key = PackWriter()
    key.add("record")
    key.add(record.turns) { pack, turn in
      pack.add(turn.role.rawValue)
      pack.add(turn.text)
      pack.add(turn.toolText)
      pack.add(UInt8(turn.isTrained.map { $0 ? 2 : 1 } ?? 0))
      pack.add(turn.weight.bitPattern)
    }
    key.add(UInt32(record.images.count))
    for picture in facts.pictures {
      key.add(picture.width)
      key.add(picture.height)
    }
    key.add(UInt8(processor.augmentation == nil ? 0 : 1))
    let digest = Digest(of: key.bytes)
    // What regions become depends on more than the words.
    let isKept = record.regions.isEmpty
    if isKept, let known = store.find(digest) {
      var pack = PackReader(known)
      if let tokens = pack.integer(Int32.self), let trained = pack.integer(Int32.self) {
        (facts.tokens, facts.trained) = (Int(tokens), Int(trained))
        return
      }
    }
    do {
      let text = try processor.encode(record)
      (facts.tokens, facts.trained) = (text.ids.count, text.supervised.count { $0 })
      var pack = PackWriter()
      pack.add(Int32(clamping: facts.tokens))
      pack.add(Int32(clamping: facts.trained))
      if isKept { store.keep(digest, pack.bytes) }
    } catch {
      facts.findings.append(
        Finding(
          encoding: asFault(error), at: record.place, record: record.index, hasRegions: !record.regions.isEmpty))
    }
  }

  /// Looks at the pictures of a record, each by itself.
  private func see(_ images: [ImageLocation], _ place: String, _ index: Int, _ facts: inout RecordFacts) {
    facts.imageCount = images.count
    for image in images {
      switch pictures(image) {
      case .facts(let picture):
        facts.pictures.append(picture)
        do {
          try set.imageProcessor?.check(height: picture.height, width: picture.width)
        } catch {
          facts.findings.append(Finding(picture: asFault(error), path: image.name, at: place, record: index))
          continue
        }
        if let (kind, message) = Inspector.oddity(of: picture) {
          facts.findings.append(Finding(kind, at: place, record: index, "\(image.name): \(message)"))
        }
      case .fault(let fault):
        facts.findings.append(Finding(picture: fault, path: image.name, at: place, record: index))
      }
    }
  }

  private static func oddity(of picture: PictureFacts) -> (Finding.Kind, String)? {
    let size = "\(picture.width) × \(picture.height) pixels"
    if picture.isBlank { return (.blankImage, "all of it has one colour (\(size))") }
    if min(picture.width, picture.height) < InspectionLimits.tinySide { return (.tinyImage, "only \(size)") }
    guard picture.aspect >= InspectionLimits.extremeAspect else { return nil }
    return (.extremeAspect, "\(size), about \(Int(picture.aspect.rounded())) to 1")
  }

  private func turnFindings(_ record: Record) -> [Finding] {
    var findings: [Finding] = []
    func add(_ kind: Finding.Kind, _ message: String) {
      findings.append(Finding(kind, at: record.place, record: record.index, message))
    }
    for (number, turn) in record.turns.enumerated()
    where turn.text.allSatisfy({ $0.isWhitespace }) && turn.extras.calls.isEmpty {
      add(
        .emptyTurn,
        "turn \(number + 1), the \(turn.role.rawValue)'s, is empty"
          + (turn.role == .assistant ? ": only its end is trained" : ""))
    }
    if let number = record.turns.dropFirst().firstIndex(where: { $0.role == .system }) {
      add(.roleOrder, "turn \(number + 1) is the system's, which speaks first or not at all")
      return findings
    }
    let turns = record.turns.drop { $0.role == .system }
    if turns.first?.role == .assistant { add(.roleOrder, "the assistant speaks first") }
    if let pair = zip(turns.indices, turns.indices.dropFirst()).first(where: {
      turns[$0].role == turns[$1].role && turns[$0].role != .tool
    }) {
      add(.roleOrder, "turns \(pair.0 + 1) and \(pair.1 + 1) are both the \(turns[pair.0].role.rawValue)'s")
    }
    if turns.last?.role == .user, turns.contains(where: { $0.role == .assistant }) {
      add(.roleOrder, "the last turn is the user's and has no answer")
    }
    return findings
  }

  /// The words of a record: what is asked, and how it is answered.
  private func describe(_ record: Record, _ facts: inout RecordFacts, _ look: inout Look) {
    var question: [UInt32] = []
    var plain = PackWriter()
    for turn in record.turns {
      let words = Words.hashes(of: turn.text)
      plain.add(turn.role.rawValue)
      plain.add(words) { $0.add($1) }
      plain.add(turn.toolText)
      switch turn.role {
      case .user:
        question = words
        if !record.images.isEmpty { remember(turn.text, &look) }
      case .assistant:
        facts.asked.append(
          RecordFacts.Asked(question, answer: words.count <= 4 && turn.mentions.isEmpty ? Words.plain(turn.text) : ""))
      case .system, .tool: break
      }
    }
    // The same words may speak of other parts of a picture.
    if !record.regions.isEmpty { plain.add(String(describing: record.regions)) }
    facts.said = Digest(of: plain.bytes)
    let told = InspectedSet.Told(
      turns: record.turns.map { ($0.role.rawValue, $0.text) }, images: record.images, place: record.place)
    facts.bands = Shingles.bands(of: told.comparedWords)
  }

  private func remember(_ text: String, _ look: inout Look) {
    Words.each(in: text) { hash, bytes in
      if look.words[hash] == nil, bytes.count <= 40 { look.words[hash] = String(decoding: bytes, as: UTF8.self) }
    }
  }

  // MARK: Pictures with captions

  private func pair(_ index: Int, _ records: PairSet, _ samples: PairSamples, _ look: inout Look) -> RecordFacts {
    var facts = RecordFacts()
    guard let record = read(index, &facts, records.record) else { return facts }
    see([record.image], record.place, index, &facts)
    do {
      let lengths = try record.captions.map { try samples.processor.ids($0).count }
      (facts.tokens, facts.trained) = (lengths.max() ?? 0, 0)
      for caption in record.captions where try samples.processor.cuts(caption) {
        facts.findings.append(
          Finding(
            .cutText, at: record.place, record: index,
            "a caption is longer than \(samples.processor.maxLength) tokens: the end is cut off"))
      }
    } catch {
      facts.findings.append(Finding(reading: asFault(error), file: record.place, record: index))
    }
    for caption in record.captions where caption.allSatisfy({ $0.isWhitespace }) {
      facts.findings.append(Finding(.emptyTurn, at: record.place, record: index, "a caption is empty"))
    }
    var plain = PackWriter()
    plain.add(record.captions.flatMap { Words.hashes(of: $0) }) { $0.add($1) }
    facts.said = Digest(of: plain.bytes)
    facts.bands = Shingles.bands(of: record.captions.flatMap { Words.hashes(of: $0) })
    note(record.metadata, &facts, &look)
    return facts
  }

  // MARK: Texts with labels

  private func labelled(
    _ index: Int, _ records: LabelledSet, _ samples: LabelledSamples, _ look: inout Look
  ) -> RecordFacts {
    var facts = RecordFacts()
    guard let record = read(index, &facts, records.record) else { return facts }
    see(record.images, record.place, index, &facts)
    do {
      let length = try samples.length(of: record)
      (facts.tokens, facts.trained) = (length.tokens, 1)
      if length.isCut {
        facts.findings.append(
          Finding(
            .cutText, at: record.place, record: index, "longer than \(length.tokens) tokens: the end is cut off"))
      }
    } catch {
      let fault = asFault(error)
      facts.findings.append(Finding(.badLabel, at: record.place, record: index, fault.what, fault.remedy))
    }
    let told = InspectedSet.Told(record)
    for turn in told.turns.dropLast() where turn.text.allSatisfy({ $0.isWhitespace }) {
      facts.findings.append(Finding(.emptyTurn, at: record.place, record: index, "the text is empty"))
    }
    let words = told.turns.dropLast().flatMap { Words.hashes(of: $0.text) }
    var plain = PackWriter()
    plain.add(words) { $0.add($1) }
    facts.said = Digest(of: plain.bytes)
    facts.bands = Shingles.bands(of: told.comparedWords)
    if !record.images.isEmpty { remember(record.text, &look) }
    facts.asked = [RecordFacts.Asked(words, answer: record.label.plain)]
    note(record.metadata, &facts, &look)
    return facts
  }

  // MARK: Both

  private func note(_ metadata: JSON, _ facts: inout RecordFacts, _ look: inout Look) {
    facts.groups = columns.map { metadata.value(at: $0).map(ColumnSurvey.word) ?? "" }
    facts.isSynthetic =
      switch metadata["synthetic"] {
      case .bool(let flag): flag
      case .integer(let number): number != 0
      case .string(let text): ["true", "yes", "1"].contains(text.lowercased())
      default: false
      }
    look.columns.add(metadata)
  }

  private func asFault(_ error: any Error) -> Fault {
    error as? Fault ?? Fault(.internalError, "\(error)", "report this")
  }
}

/// From where on something is worth a word.
enum InspectionLimits {
  /// The shorter side of a picture, in pixels.
  static let tinySide = 28
  /// The longer side to the shorter one: of such a picture a centre crop keeps a sixth.
  static let extremeAspect = 6.0
  /// The share of runs of three words that like texts have in common.
  static let likeText = 0.8
  /// How many of 256 bits like pictures differ in, at most.
  static let likeBits = 12
}

extension RecordFacts.Asked {
  init(_ question: [UInt32], answer: String) {
    var pack = PackWriter()
    pack.add(question) { $0.add($1) }
    self.init(
      words: Set(question).sorted(), opening: Array(question.prefix(4)), question: Digest(of: pack.bytes).high,
      answer: answer)
  }
}
