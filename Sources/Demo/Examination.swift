/// A question of the demo and the picture that goes with it.
public struct PictureQuestion: Equatable, Sendable {
  /// The name of the picture's file below `images/`.
  public let image: String
  public let question: Question
}

/// The held-out questions of the demo, and what answers to them are worth.
public struct Examination: Sendable {
  public let questions: [PictureQuestion]

  /// The questions of `held-out.jsonl`, in its order.
  public init() {
    let set = PictureSet.heldOut
    self.init(questions: (0..<set.count).map { PictureQuestion(image: set.fileName($0), question: set.question($0)) })
  }

  init(questions: [PictureQuestion]) { self.questions = questions }

  /// The same questions, each with the picture of another: whoever looks at pictures is now at chance.
  public var shuffled: Examination {
    var dice = Dice([0x7368_7566])
    let order = dice.shuffled(Array(questions.indices))
    var images = questions.map(\.image)
    for (place, index) in order.enumerated() { images[index] = questions[order[(place + 1) % order.count]].image }
    return Examination(questions: zip(questions, images).map { PictureQuestion(image: $1, question: $0.question) })
  }

  /// How many answers are right.
  /// - Parameter answers: one for each question, in order; white space around them does not count.
  public func score(_ answers: [String]) -> Score {
    precondition(answers.count == questions.count, "\(answers.count) answers to \(questions.count) questions")
    var score = Score()
    for (asked, answer) in zip(questions, answers) {
      let isRight = answer.trimmingPrefix { $0.isWhitespace }.prefix { !$0.isWhitespace } == asked.question.answer
      score.add(isRight: isRight, family: asked.question.family)
    }
    return score
  }

  /// The expected fraction of right answers of one who guesses among the options of each question.
  public var chance: Double {
    questions.map(\.question.family.chance).reduce(0, +) / Double(questions.count)
  }
}

/// How many answers were right, in all and by family.
public struct Score: Equatable, Sendable {
  private var right: [Question.Family: Int] = [:]
  private var asked: [Question.Family: Int] = [:]

  fileprivate mutating func add(isRight: Bool, family: Question.Family) {
    right[family, default: 0] += isRight ? 1 : 0
    asked[family, default: 0] += 1
  }

  /// The fraction of right answers, of one family or of all.
  public func accuracy(_ family: Question.Family? = nil) -> Double {
    func count(_ counts: [Question.Family: Int]) -> Int {
      family.map { counts[$0] ?? 0 } ?? counts.values.reduce(0, +)
    }
    return count(asked) == 0 ? 0 : Double(count(right)) / Double(count(asked))
  }
}
