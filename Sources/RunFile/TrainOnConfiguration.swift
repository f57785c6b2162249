/// Which turns of conversations are trained, where a record does not say so itself.
public struct TrainOnConfiguration: Equatable, Sendable {
  /// Who speaks.
  public enum Role: String, CaseIterable, Sendable { case system, user, assistant }

  /// Which of the turns of these roles.
  public enum Turns: String, CaseIterable, Sendable { case all, last }

  public var roles = [Role.assistant]
  public var turns = Turns.all

  public init() {}
}

extension TrainOnConfiguration.Role: RunFileChoice {}
extension TrainOnConfiguration.Turns: RunFileChoice {}

extension TrainOnConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("roles", \.roles, "whose turns: system, user, assistant", otherNames: ["roles_to_train"]),
    Key("turns", \.turns, "last: the last of these turns in each record alone", otherNames: ["mask_history"]),
  ]

  func validate(at key: String) throws {
    try require(!roles.isEmpty, key + "roles", "names no role", "name one, as in roles: [assistant]")
    try require(Set(roles).count == roles.count, key + "roles", "names a role twice", "name each once")
  }
}
