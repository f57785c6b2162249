import Ground

/// What a model said to one question, and what people say to it.
public struct Answer: Equatable, Sendable {
  /// The generated text, special tokens left out.
  public let prediction: String
  /// The right answers; several where people differ, or where a picture has several captions.
  public let references: [String]
  public let question: String?
  /// Where the record stands, for messages: `file:line`.
  public let place: String?
  /// The JSON schema that the answer is to keep; nil: that of the whole set.
  public let schema: JSON?

  public init(
    prediction: String, references: [String], question: String? = nil, place: String? = nil, schema: JSON? = nil
  ) {
    (self.prediction, self.references, self.question, self.place) = (prediction, references, question, place)
    self.schema = schema
  }
}

extension [Answer] {
  /// - Throws: `Fault(.badData)` for the first answer with fewer than `count` references.
  func requireReferences(_ count: Int = 1, for metric: String, else remedy: String) throws {
    guard let index = firstIndex(where: { $0.references.count < count }) else { return }
    let found = self[index].references.count
    throw Fault(
      .badData, "\(metric) needs \(count == 1 ? "a reference answer" : "\(count) reference answers"), here \(found)",
      at: place(of: index), remedy)
  }

  /// The `file:line` of an answer, or its number from 1.
  func place(of index: Int) -> String { self[index].place ?? "answer \(index + 1)" }
}
