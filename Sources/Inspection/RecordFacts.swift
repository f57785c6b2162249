/// What is known of one record after a look at it alone.
struct RecordFacts: Equatable, Sendable {
  /// A question of a record and its answer.
  struct Asked: Equatable, Sendable {
    /// Of the question, each word once.
    var words: [UInt32] = []
    /// The first four words of the question in their order, from which its kind follows.
    var opening: [UInt32] = []
    /// Of the question as a whole.
    var question: UInt64 = 0
    /// The words of an answer of a few words; empty for longer ones.
    var answer = ""
  }

  var findings: [Finding] = []
  /// −1 where the record could not be encoded.
  var tokens = -1
  /// Tokens that are trained.
  var trained = 0
  /// How many pictures it names.
  var imageCount = 0
  /// Of the pictures that could be decoded, in order.
  var pictures: [PictureFacts] = []
  var asked: [Asked] = []
  /// Of all that is said in it.
  var said = Digest(high: 0, low: 0)
  /// Bands of the signature of its text; empty for a text that is too short to be like another by more than chance.
  var bands: [UInt32] = []
  /// Its values in the columns that it is grouped by; empty where it has none.
  var groups: [String] = []
  var isSynthetic = false
  /// Whether it could be read at all.
  var isRead = false
}

extension RecordFacts {
  /// Its answer among a few, if it has one: what groups are compared by.
  var outcome: String? { asked.lazy.map(\.answer).first { !$0.isEmpty } }

  func write(to pack: inout PackWriter) {
    pack.add(findings) { pack, finding in
      pack.add(finding.kind.rawValue)
      pack.add(finding.place)
      pack.add(finding.record ?? -1)
      pack.add(finding.message)
      pack.add(finding.remedy)
    }
    pack.add(Int32(clamping: tokens))
    pack.add(Int32(clamping: trained))
    pack.add(Int32(clamping: imageCount))
    pack.add(pictures) { $1.write(to: &$0) }
    pack.add(asked) { pack, asked in
      pack.add(asked.words) { $0.add($1) }
      pack.add(asked.opening) { $0.add($1) }
      pack.add(asked.question)
      pack.add(asked.answer)
    }
    pack.add(said)
    pack.add(bands) { $0.add($1) }
    pack.add(groups) { $0.add($1) }
    pack.add(UInt8(isSynthetic ? 1 : 0))
    pack.add(UInt8(isRead ? 1 : 0))
  }

  init?(_ pack: inout PackReader) {
    guard
      let findings = pack.list({ pack -> Finding? in
        guard let name = pack.text(), let kind = Finding.Kind(rawValue: name), let place = pack.text(),
          let record = pack.integer(Int.self), let message = pack.text(), let remedy = pack.text()
        else { return nil }
        return Finding(kind, at: place, record: record < 0 ? nil : record, message, remedy)
      }),
      let tokens = pack.integer(Int32.self), let trained = pack.integer(Int32.self),
      let imageCount = pack.integer(Int32.self), let pictures = pack.list({ PictureFacts(&$0) }),
      let asked = pack.list({ pack -> Asked? in
        guard let words = pack.list({ $0.integer(UInt32.self) }), let opening = pack.list({ $0.integer(UInt32.self) }),
          let question = pack.integer(UInt64.self), let answer = pack.text()
        else { return nil }
        return Asked(words: words, opening: opening, question: question, answer: answer)
      }),
      let said = pack.digest(), let bands = pack.list({ $0.integer(UInt32.self) }),
      let groups = pack.list({ $0.text() }), let synthetic = pack.integer(UInt8.self),
      let read = pack.integer(UInt8.self)
    else { return nil }
    self.init(
      findings: findings, tokens: Int(tokens), trained: Int(trained), imageCount: Int(imageCount), pictures: pictures,
      asked: asked, said: said, bands: bands, groups: groups, isSynthetic: synthetic != 0, isRead: read != 0)
  }
}
