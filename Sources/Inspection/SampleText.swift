import Datasets
import Report

/// The text of a sample in runs: what is trained, what is only read, how many tokens stand for pictures; before what counts
/// more or less than others in losses its weight.
public struct SampleText: Sendable {
  public let runs: [(mark: MarkedText.Mark, text: String)]
  public let tokens: Int
  public let trained: Int

  /// - Parameter decode: turns token ids into text.
  /// - Throws: `Fault` with `file:line`.
  public init(_ record: Record, _ processor: Processor, decode: ([Int]) -> String) throws {
    let text = try processor.encode(record)
    let pictures = Set(text.imagePositions)
    var runs: [(mark: MarkedText.Mark, text: String)] = []
    var index = 0
    while index < text.ids.count {
      var end = index + 1
      let (isPicture, isTrained) = (pictures.contains(index), text.supervised[index])
      let weight = isTrained && !text.weights.isEmpty ? text.weights[index] : 1
      while end < text.ids.count, pictures.contains(end) == isPicture, text.supervised[end] == isTrained,
        !isTrained || text.weights.isEmpty || text.weights[end] == weight
      { end += 1 }
      if weight != 1 { runs.append((.weight, "×\(weight.shown) ")) }
      if isPicture {
        runs.append((.picture, "[\(end - index) image tokens]"))
      } else {
        runs.append((isTrained ? .trained : .plain, decode(text.ids[index..<end].map(Int.init))))
      }
      index = end
    }
    self.runs = runs
    tokens = text.ids.count
    trained = text.supervised.count { $0 }
  }

  /// For a terminal: trained text green, image tokens blue, weights yellow, the rest grey.
  public var coloured: String {
    runs.map { run in
      let colour = [MarkedText.Mark.plain: 90, .trained: 32, .picture: 34, .weight: 33][run.mark] ?? 0
      return "\u{1B}[\(colour)m\(run.text)\u{1B}[0m"
    }.joined()
  }
}

extension Float {
  /// Whole numbers without a point.
  fileprivate var shown: String { self == rounded() && abs(self) < 1e7 ? "\(Int(self))" : "\(self)" }
}
