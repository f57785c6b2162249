import Datasets
import Ground
import Tensors

/// Conversations that a model is asked, and what it is shown with them.
public struct QuestionSet: SampleSource {
  public let records: RecordSet
  private let processor: Processor
  /// The numbers of the records, in file order.
  public let chosen: [Int]
  /// What is shown in place of their pictures.
  public let view: PictureView
  private let shuffle: PictureShuffle?

  /// - Parameter chosen: numbers of records; nil: all.
  public init(_ records: RecordSet, _ processor: Processor, chosen: [Int]? = nil) {
    self.init(records, processor, chosen ?? Array(0..<records.count), .right, nil)
  }

  private init(
    _ records: RecordSet, _ processor: Processor, _ chosen: [Int], _ view: PictureView, _ shuffle: PictureShuffle?
  ) {
    (self.records, self.processor, self.chosen, self.view, self.shuffle) = (records, processor, chosen, view, shuffle)
  }

  public var counts: [Int] { [chosen.count] }

  /// The same questions shown otherwise.
  /// - Parameter shuffle: of records of ``records``, for the view of that name.
  public func showing(_ view: PictureView, _ shuffle: PictureShuffle) -> QuestionSet {
    var processor = processor
    processor.isBlind = view == .blank
    return QuestionSet(records, processor, chosen, view, shuffle)
  }

  /// Some of the questions.
  public func only(_ numbers: [Int]) -> QuestionSet {
    QuestionSet(records, processor, numbers.map { chosen[$0] }, view, shuffle)
  }

  /// At most `count` questions, one drawn by `seed` from each of as many equal parts of the data; 0: all.
  ///
  /// Taking every so-and-so-many-th would take one kind alone where kinds alternate.
  public func spread(_ count: Int, seed: UInt64 = 0) -> QuestionSet {
    guard count > 0, count < chosen.count else { return self }
    let stream = RandomStream([seed]).named("questions")
    return only(
      (0..<count).map { part in
        let (start, end) = (part * chosen.count / count, (part + 1) * chosen.count / count)
        return start + Int(stream.uniform(at: part) * Double(end - start))
      })
  }

  /// The record of question `number`, with the pictures that are shown.
  /// - Throws: `Fault` with `file:line`.
  public func record(_ number: Int) throws -> Record {
    let own = try processor.writingBoxes(in: records.record(chosen[number]))
    switch view {
    case .right, .blank: return own
    case .none: return own.withoutPictures()
    case .shuffled: return try shuffle?[own.images].map { own.showing(try records.record($0).images) } ?? own
    }
  }

  public func question(_ number: Int) throws -> Question { try record(number).question() }

  public func sample(_ number: Int) throws -> Sample { try processor.sample(record(number)) }

  /// What leads up to the answer.
  /// - Throws: `Fault` with `file:line`.
  public func prompt(_ number: Int) throws -> Sample {
    let record = try record(number)
    let question = try record.question()
    do {
      return try processor.prompt(question.prompt, images: question.images)
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }

  public func faults(in range: Range<Int>, most: Int, threads: Int) -> [RecordFault] {
    var found: [RecordFault] = []
    for number in range where found.count < most {
      do {
        try processor.check(record(number))
      } catch {
        found.append(
          RecordFault(
            index: chosen[number],
            fault: error as? Fault ?? Fault(.internalError, "\(error)", "report this")))
      }
    }
    return found
  }
}
