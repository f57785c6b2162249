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
  static let numberWords = ["one", "two", "three", "four"]

  /// "What colour is the star?"
  static func colour(of group: Group, _ dice: inout Dice) -> Question {
    let (noun, verb) = (group.shape.noun(group.count), group.count == 1 ? "is" : "are")
    let text = dice.pick([
      "What colour \(verb) the \(noun)?", "Tell me the colour of the \(noun).",
      "Which colour \(group.count == 1 ? "does" : "do") the \(noun) have?",
    ])
    return Question(family: .colour, text: text, answer: group.colour.rawValue)
  }

  /// "Which shape is red?"
  static func shape(of group: Group, _ dice: inout Dice) -> Question {
    let colour = group.colour.rawValue
    let text = dice.pick([
      "Which shape is \(colour)?", "What is the shape of the \(colour) figure\(group.count == 1 ? "" : "s")?",
      "What is drawn in \(colour)?",
    ])
    return Question(family: .shape, text: text, answer: group.shape.rawValue)
  }

  /// "How many stars are there?"
  static func number(of group: Group, _ dice: inout Dice) -> Question {
    let (nouns, colour) = (group.shape.noun(2), group.colour.rawValue)
    let text = dice.pick([
      "How many \(nouns) are there?", "Count the \(nouns).", "How many figures are \(colour)?",
      "What is the number of \(colour) shapes?",
    ])
    return Question(family: .number, text: text, answer: numberWords[group.count - 1])
  }

  /// "Is the star left or right of the circle?"
  static func side(of group: Group, from other: Group, _ dice: inout Dice) -> Question {
    func name(_ group: Group, _ dice: inout Dice) -> String {
      dice.chance(0.5) ? group.shape.rawValue : "\(group.colour.rawValue) shape"
    }
    let (subject, reference) = (name(group, &dice), name(other, &dice))
    let text = dice.pick([
      "Is the \(subject) left or right of the \(reference)?", "On which side of the \(reference) is the \(subject)?",
    ])
    return Question(family: .side, text: text, answer: group.figures[0].x < other.figures[0].x ? "left" : "right")
  }
}

extension Scene {
  /// Four questions about the picture, none of which answers another.
  func questions(_ dice: inout Dice) -> [Question] {
    let order = dice.shuffled(groups)
    var questions = [Question.colour(of: order[0], &dice), .shape(of: order[1], &dice)]
    switch kind {
    case .row:
      questions.append(.side(of: order[0], from: order[1], &dice))
      if groups.count == 3 { questions.append(.side(of: order[2], from: order[0], &dice)) }
    case .crowd:
      questions.append(.number(of: order[0], &dice))
      questions.append(.number(of: order[1], &dice))
    }
    return dice.shuffled(questions)
  }
}
