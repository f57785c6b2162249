import Foundation
import Ground

/// What the demo shows at its end.
public struct DemoReport: Sendable {
  public let chance: Double
  public let before: Score
  public let after: Score
  /// After training, with the picture of another question.
  public let shuffled: Score
  /// Of the whole demo.
  public let seconds: Double

  public init(chance: Double, before: Score, after: Score, shuffled: Score, seconds: Double) {
    self.chance = chance
    self.before = before
    self.after = after
    self.shuffled = shuffled
    self.seconds = seconds
  }

  /// `{"chance", "before", "after", "shuffled", "seconds"}`, fractions of 1.
  public var json: JSON {
    [
      "chance": .number(chance), "before": .number(before.accuracy()), "after": .number(after.accuracy()),
      "shuffled": .number(shuffled.accuracy()), "seconds": .number(seconds),
    ]
  }

  /// A table for the terminal, one row for each family of questions and one for all.
  public var table: String {
    let titles = ["before", "after", "shuffled", "chance"]
    func row(_ name: String, _ cells: [String]) -> String {
      padded(name, to: 26) + cells.map { padded($0, to: -10) }.joined() + "\n"
    }
    func figures(_ family: Question.Family?) -> [String] {
      [before, after, shuffled].map { percent($0.accuracy(family)) } + [percent(family?.chance ?? chance)]
    }
    let rule = String(repeating: "─", count: 66) + "\n"
    return row("held-out questions", titles) + rule
      + Question.Family.allCases.map { row($0.example, figures($0)) }.joined() + rule
      + row("all", figures(nil))
      + "shuffled: the trained model, each question with the picture of another\n"
  }
}

extension Question.Family {
  /// A question of the family, for the table.
  fileprivate var example: String {
    switch self {
    case .colour: "What colour is it?"
    case .shape: "Which shape is it?"
    case .number: "How many are there?"
    case .side: "Left or right?"
    }
  }
}

private func percent(_ fraction: Double) -> String { String(format: "%.1f %%", 100 * fraction) }

/// `text` with spaces behind it up to `width` characters, or before it where `width` is negative.
private func padded(_ text: String, to width: Int) -> String {
  let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
  return width < 0 ? spaces + text : text + spaces
}
