import Ground

/// Which turns of a conversation are trained: those of some roles, unless a turn says otherwise of itself.
public struct TrainedTurns: Equatable, Sendable {
  /// Which of the turns of these roles.
  public enum Which: Sendable {
    case all
    /// The last of them alone; the others are only read.
    case last
  }

  public var roles: Set<Turn.Role> = [.assistant]
  public var which = Which.all

  public init() {}

  /// How much each token of each turn counts in losses; 0: the turn is not trained.
  func weights(of turns: [Turn]) -> [Float] {
    let last = turns.lastIndex { roles.contains($0.role) }
    return turns.enumerated().map { number, turn in
      let isChosen = roles.contains(turn.role) && (which == .all || number == last)
      return turn.isTrained ?? isChosen ? turn.weight : 0
    }
  }

  /// The fault of a record of which no turn is trained.
  func nothing(in turns: [Turn]) -> Fault {
    let names = Turn.Role.allCases.filter(roles.contains).map { "the \($0.rawValue)'s" }
    let lacksRole = !turns.contains { roles.contains($0.role) }
    return Fault(
      .badData,
      "no supervised token: " + (lacksRole ? "no turn is \(names.joined(separator: " or "))" : "no turn is trained"),
      lacksRole ? "add an answer or remove the record" : "let it train a turn, or remove the record")
  }
}

/// What a turn says of its own training, under the names of other trainers.
struct TurnMembers {
  /// Whether it is trained; nil where it does not say so.
  private(set) var isTrained: Bool?
  /// How much each of its tokens counts where it is trained.
  private(set) var weight: Float = 1

  /// axolotl writes `train` or `training`, ms-swift and AgentInstruct `loss`.
  private static let flags = ["train", "training", "loss"]
  private static let details = ["train_detail", "training_detail"]
  private static let greatest = 1e6

  /// - Parameter number: of the turn, from 1, for messages.
  /// - Throws: `Fault(.badData)` for other values, and for a selection of characters.
  init(_ turn: JSON, number: Int) throws {
    let given = TurnMembers.flags.filter { turn[$0]?.isNull == false }
    for name in given {
      guard let flag = turn[name]?.flag else {
        throw Fault(
          .badData, "'\(name)' of turn \(number) is \(turn[name]?.kindName ?? ""), not true or false",
          "write true or false; how much a turn counts is its 'weight'")
      }
      guard isTrained ?? flag == flag else {
        throw Fault(.badData, "'\(given[0])' and '\(name)' of turn \(number) differ", "keep one of them")
      }
      isTrained = flag
    }
    if let name = TurnMembers.details.first(where: { turn[$0]?.isNull == false }) {
      throw Fault(
        .badData, "'\(name)' of turn \(number) is not supported", "train whole turns, by 'train' or 'weight'")
    }
    guard let json = turn["weight"], !json.isNull else { return }
    guard let value = json.double, (0...TurnMembers.greatest).contains(value) else {
      throw Fault(
        .badData, "'weight' of turn \(number) is \(json.double.map { "\($0)" } ?? json.kindName)",
        "give a number from 0, not trained, to 1,000,000")
    }
    weight = Float(value)
  }
}

extension JSON {
  /// true and false, as numbers too.
  fileprivate var flag: Bool? {
    switch self {
    case .bool(let flag): flag
    case .integer(0), .number(0): false
    case .integer(1), .number(1): true
    default: nil
    }
  }
}
