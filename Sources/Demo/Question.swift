/// A question about a picture, with the one right answer and all that it could be.
public struct Question: Equatable, Sendable {
  /// What is asked for; every answer of a family comes equally often.
  public enum Family: String, CaseIterable, Sendable { case colour, shape, number, side }

  public let family: Family
  public let text: String
  /// One of `family.options`.
  public let answer: String
}

extension Question.Family {
  /// Every answer that a question of this family can have: one word, one token of the model each.
  public var options: [String] {
    switch self {
    case .colour: Colour.allCases.map(\.rawValue)
    case .shape: Shape.allCases.map(\.rawValue)
    case .number: Question.numberWords
    case .side: ["left", "right"]
    }
  }

  /// The fraction of right answers that guessing gives.
  public var chance: Double { 1 / Double(options.count) }
}

extension Question {
  static let numberWords = ["one", "two", "three"]

  private static let wordings: [Family: [String]] = [
    .colour: ["What colour is it?", "Which colour do you see?", "Tell me the colour."],
    .shape: ["Which shape is it?", "What is drawn here?", "Name the shape."],
    .number: ["How many are there?", "Count the figures.", "What is the number?"],
    .side: ["On which side is it?", "Left or right?", "Which half is it in?"],
  ]

  /// A question of a family about a scene. Its wording says nothing about the picture, so that in a conversation no
  /// question answers another.
  init(_ family: Family, about scene: Scene, _ dice: inout Dice) {
    self.family = family
    text = dice.pick(Question.wordings[family] ?? [])
    answer =
      switch family {
      case .colour: scene.colour.rawValue
      case .shape: scene.shape.rawValue
      case .number: Question.numberWords[scene.count - 1]
      case .side: scene.side.rawValue
      }
  }
}

extension Scene {
  /// A question of every family about the picture, in any order.
  func questions(_ dice: inout Dice) -> [Question] {
    let families = dice.shuffled(Question.Family.allCases)
    return families.map { Question($0, about: self, &dice) }
  }
}
