/// What a forward pass runs in: the device that computes, the tape that records, and the random stream.
///
/// Every operation is a method of it, one file each in `Ops/`, its pullback beside its forward. Without a
/// tape nothing is saved; with one, only what depends on a trainable parameter is recorded.
public final class Context {
  public let backend: any Backend
  /// The stream that dropout draws from; nil outside training.
  public let randomness: RandomStream?
  /// Whether the layers of a model are recomputed in the backward pass instead of kept.
  public let recomputesLayers: Bool
  let tape: Tape?
  /// Collects the trainable parameters used where a forward pass runs without a tape but will be repeated with one.
  private var usedWithoutTape: [Parameter]?

  public convenience init(
    _ backend: any Backend, recording: Bool = false, randomness: RandomStream? = nil, recomputesLayers: Bool = false
  ) {
    self.init(
      backend, tape: recording ? Tape() : nil, randomness: randomness, recomputesLayers: recomputesLayers)
  }

  private init(_ backend: any Backend, tape: Tape?, randomness: RandomStream?, recomputesLayers: Bool = false) {
    self.backend = backend
    self.tape = tape
    self.randomness = randomness
    self.recomputesLayers = recomputesLayers
  }

  /// The value of a parameter, recorded as used.
  public subscript(parameter: Parameter) -> Tensor {
    let operand = parameter.operand(backend)
    if parameter.isTrainable {
      tape?.use(parameter, as: operand)
      if usedWithoutTape?.contains(where: { $0 === parameter }) == false { usedWithoutTape?.append(parameter) }
    }
    return operand
  }

  /// What is multiplied with a weight of this type is best brought to it, or to f32.
  public func factorType(beside weight: DType) -> DType {
    weight == .bfloat16 && backend.multipliesBFloat16 ? .bfloat16 : .float32
  }

  /// Whether a gradient is wanted for `tensor`.
  public func tracks(_ tensor: Tensor) -> Bool { tape?.tracks(tensor) ?? false }

  /// Wants a gradient for `tensor`; for tests and for features that are an input.
  public func watch(_ tensor: Tensor) { tape?.watch(tensor) }

  /// Records `output` as made from `inputs`, if any of them is tracked.
  func record(
    _ operation: StaticString, inputs: [Tensor], output: Tensor, pullback: @escaping (Tensor) -> [Tensor?]
  ) {
    record(operation, inputs: inputs, outputs: [output]) { gradients in gradients[0].map(pullback) ?? [] }
  }

  /// Records several outputs that are made together; the gradients of some may be nil, never of all.
  func record(
    _ operation: StaticString, inputs: [Tensor], outputs: [Tensor], pullback: @escaping Tape.Pullback
  ) {
    guard let tape, inputs.contains(where: tape.tracks) else { return }
    tape.record(operation, inputs: inputs, outputs: outputs, pullback: pullback)
  }

  /// Offers to make an output of a recorded operation again where a pullback needs it: `make` gives the same bits from
  /// what the operation's own pullback keeps, for less than keeping it is worth.
  func offer(_ output: Tensor, _ make: @escaping () -> Tensor) { tape?.offer(output, make) }

  /// How a pullback gets `x` again without keeping it; nil where nothing makes it.
  func remaker(of x: Tensor) -> (() -> Tensor)? { tape?.remaker(of: x) }

  /// Computes gradients from `root` (any shape; its gradient is `seed`) back to the trainable parameters.
  ///
  /// `parameterGradient` is called once for each parameter that a gradient reaches, as soon as it is complete.
  /// - Returns: the gradients of `watched`.
  @discardableResult
  public func backward(
    from root: Tensor, seed: Tensor, watched: [Tensor] = [],
    parameterGradient: (Parameter, Tensor) -> Void
  ) -> [Tensor?] {
    backward(from: [(root, seed)], watched: watched, parameterGradient: parameterGradient)
  }

  /// The same from several roots at once, each with its gradient: one walk back.
  @discardableResult
  public func backward(
    from roots: [(root: Tensor, seed: Tensor)], watched: [Tensor] = [],
    parameterGradient: (Parameter, Tensor) -> Void
  ) -> [Tensor?] {
    guard let tape else { preconditionFailure("backward: this context does not record") }
    return tape.backward(from: roots, watched: watched, backend: backend, parameterGradient: parameterGradient)
  }

  /// One layer of a model: kept or recomputed, as the context says.
  public func layer(_ input: Tensor, _ body: @escaping (Tensor, Context) -> Tensor) -> Tensor {
    recomputesLayers ? recomputing(input, body) : body(input, self)
  }

  /// Runs `body` without keeping its activations, and runs it again when the gradient comes back
  /// (activation checkpointing, Chen et al. 2016, arXiv:1604.06174).
  public func recomputing(_ input: Tensor, _ body: @escaping (Tensor, Context) -> Tensor) -> Tensor {
    guard let tape else { return body(input, self) }
    let first = Context(backend, tape: nil, randomness: randomness)
    first.usedWithoutTape = []
    let output = body(input, first)
    let parameters = first.usedWithoutTape ?? []
    let operands = parameters.map { $0.operand(backend) }
    for (parameter, operand) in zip(parameters, operands) { tape.use(parameter, as: operand) }
    record("recompute", inputs: [input] + operands, output: output) { [backend, randomness] gradient in
      let inner = Context(backend, tape: Tape(), randomness: randomness)
      inner.watch(input)
      let again = body(input, inner)
      var found: [UInt64: Tensor] = [:]
      let inputGradient = inner.backward(from: again, seed: gradient, watched: [input]) { parameter, gradient in
        found[parameter.operand(backend).id] = gradient
      }
      return inputGradient + operands.map { found[$0.id] }
    }
    return output
  }
}
