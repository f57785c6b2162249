import Tensors

/// Random draws one after another: a pure function of what they are for and of how many came before.
struct Dice {
  private let stream: RandomStream
  private var drawn = 0

  /// - Parameter parts: what the draws are for, such as seed, set and number of a picture.
  init(_ parts: [UInt64]) { stream = RandomStream(parts) }

  /// Uniform in [0, 1).
  mutating func fraction() -> Double {
    defer { drawn += 1 }
    return stream.uniform(at: drawn)
  }

  mutating func number(in range: ClosedRange<Double>) -> Double {
    range.lowerBound + (range.upperBound - range.lowerBound) * fraction()
  }

  mutating func index(below count: Int) -> Int { Int(fraction() * Double(count)) }

  mutating func integer(in range: ClosedRange<Int>) -> Int { range.lowerBound + index(below: range.count) }

  mutating func chance(_ probability: Double) -> Bool { fraction() < probability }

  mutating func pick<Choice>(_ choices: [Choice]) -> Choice { choices[index(below: choices.count)] }

  /// The elements in random order (Fisher and Yates).
  mutating func shuffled<Element>(_ elements: [Element]) -> [Element] {
    var elements = elements
    for last in stride(from: elements.count - 1, to: 0, by: -1) { elements.swapAt(last, index(below: last + 1)) }
    return elements
  }
}
