import RunFile
import Tensors

/// A rule that turns gradients into updates: what it keeps for a parameter, and which update of the device it is.
///
/// A new rule is a file here, its line in ``makeRule(_:)`` and its line in the run file's ``OptimizerConfiguration/Name``.
public protocol OptimizerRule: Sendable {
  /// Its name in the run file and in checkpoints.
  var name: OptimizerConfiguration.Name { get }
  /// What it keeps for a parameter of `shape`, all zero before the first update. Names are the rule's own and stay, for
  /// checkpoints are made of them.
  func state(for shape: [Int]) -> [StateTensor]
  /// The update of a parameter with what is kept for it, in the order of `state(for:)`.
  ///
  /// - Parameter number: 1 for the parameter's first update.
  func update(number: Int, _ state: [Tensor]) -> ParameterUpdate
}

/// One tensor that a rule keeps for a parameter.
public struct StateTensor: Equatable, Sendable {
  public let name: String
  public let dtype: DType
  public let shape: [Int]

  public init(_ name: String, _ shape: [Int], _ dtype: DType = .float32) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
  }
}

/// The rule that a run file asks for.
public func makeRule(_ configuration: OptimizerConfiguration) -> any OptimizerRule {
  switch configuration.name {
  case .adamw: AdamW(configuration)
  case .adamw8bit: AdamW8bit(configuration)
  case .adafactor: Adafactor(configuration)
  case .sgd: SGD(configuration)
  case .lion: Lion(configuration)
  }
}
