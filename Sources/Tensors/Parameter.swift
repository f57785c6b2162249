/// A named weight of a model; it has no memory until a checkpoint or an initialiser gives it a value.
public final class Parameter {
  /// Its full path, such as `model.language_model.layers.0.self_attn.q_proj.weight`.
  public let name: String
  public let shape: [Int]
  /// Whether gradients are wanted for it and the optimiser changes it.
  public var isTrainable = false
  /// Whether its value is to be kept as 4-bit codes; only of a linear layer's matrix, and only while it is frozen.
  public var isQuantised = false
  /// The type that operations take it in; nil: as it is.
  ///
  /// Where it is another, `value` is the master that the optimiser changes and files hold, and operations see a rounded
  /// copy (Micikevicius et al. 2018, arXiv:1710.03740).
  public var operandType: DType? { didSet { rounded = nil } }
  private var held: Tensor?
  private var rounded: Tensor?
  /// Goes up whenever the value may have become another: what was made of it holds as long as this stays.
  public private(set) var version = 0

  public init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }

  public var count: Int { shape.reduce(1, *) }
  public var isMaterialised: Bool { held != nil }

  /// Its value. Reading it before it was given one is a programming error.
  public var value: Tensor {
    get {
      guard let held else { preconditionFailure("parameter \(name) is read before it has a value") }
      return held
    }
    set {
      precondition(newValue.shape == shape, "parameter \(name): \(shape) is given \(newValue.shape)")
      held = newValue
      valueChanged()
    }
  }

  /// The type of what operations see.
  public var typeInUse: DType { operandType ?? value.dtype }

  /// What operations see: the value, or its rounded copy, made when it is first asked for.
  public func operand(_ backend: any Backend) -> Tensor {
    guard let operandType, operandType != value.dtype else { return value }
    if let rounded { return rounded }
    let copy = backend.cast(value, to: operandType)
    rounded = copy
    return copy
  }

  /// To be called when the memory of `value` was written to.
  public func valueChanged() {
    rounded = nil
    version += 1
  }
}
