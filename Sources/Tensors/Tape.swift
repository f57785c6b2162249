/// The record of a forward pass: a flat array of steps that one loop walks backwards.
///
/// Steps are dropped as the loop passes them, and saved activations with them.
final class Tape {
  /// Maps the gradients of a step's outputs to those of its inputs; nil where none is wanted or none flows.
  typealias Pullback = (_ outputGradients: [Tensor?]) -> [Tensor?]

  private struct Step {
    let operation: StaticString
    let inputs: [UInt64]
    let outputs: [UInt64]
    let pullback: Pullback
  }

  private var steps: [Step] = []
  private var tracked: Set<UInt64> = []
  /// The trainable parameters that were used, by the id of their operand, and the step that used each first.
  private var parameters: [UInt64: (parameter: Parameter, firstStep: Int)] = [:]
  private var parametersInOrder: [Parameter] = []
  /// How to make again what an operation recorded here gave; as long as its pullback has not run.
  private var remakers: [UInt64: () -> Tensor] = [:]

  func tracks(_ tensor: Tensor) -> Bool { tracked.contains(tensor.id) }

  /// Wants a gradient for `tensor`, which this tape did not make.
  func watch(_ tensor: Tensor) { tracked.insert(tensor.id) }

  /// - Parameter operand: what the operations see of it.
  func use(_ parameter: Parameter, as operand: Tensor) {
    let id = operand.id
    guard parameters[id] == nil else { return }
    parameters[id] = (parameter, steps.count)
    parametersInOrder.append(parameter)
    tracked.insert(id)
  }

  /// The trainable parameters that were used, in the order of their first use.
  var usedParameters: [Parameter] { parametersInOrder }

  /// Offers that `tensor` need not be kept: `make` gives the same bits from what the pullback of its operation keeps.
  func offer(_ tensor: Tensor, _ make: @escaping () -> Tensor) {
    if tracks(tensor) { remakers[tensor.id] = make }
  }

  func remaker(of tensor: Tensor) -> (() -> Tensor)? { remakers[tensor.id] }

  func record(_ operation: StaticString, inputs: [Tensor], outputs: [Tensor], pullback: @escaping Pullback) {
    for output in outputs { tracked.insert(output.id) }
    steps.append(
      Step(operation: operation, inputs: inputs.map(\.id), outputs: outputs.map(\.id), pullback: pullback))
  }

  /// Walks back from `roots`, each with its gradient, and hands over each parameter's gradient as soon as
  /// it is complete, the last used first. Parameters that no gradient reached are not handed over.
  /// - Returns: the gradients of `watched`.
  @discardableResult
  func backward(
    from roots: [(root: Tensor, seed: Tensor)], watched: [Tensor] = [], backend: any Backend,
    parameterGradient: (Parameter, Tensor) -> Void
  ) -> [Tensor?] {
    var gradients: [UInt64: Tensor] = [:]
    for (root, seed) in roots { gradients[root.id] = gradients[root.id].map { backend.add($0, seed) } ?? seed }
    let kept = Set(watched.map(\.id))
    var parametersByStep: [Int: [UInt64]] = [:]
    for (id, use) in parameters { parametersByStep[use.firstStep, default: []].append(id) }

    while let step = steps.popLast() {
      let arrived = step.outputs.map { kept.contains($0) ? gradients[$0] : gradients.removeValue(forKey: $0) }
      if arrived.contains(where: { $0 != nil }) {
        for (input, contribution) in zip(step.inputs, step.pullback(arrived)) {
          guard let contribution, tracked.contains(input) else { continue }
          gradients[input] = gradients.removeValue(forKey: input).map { backend.add($0, contribution) } ?? contribution
        }
      }
      for output in step.outputs { remakers[output] = nil }
      // Parameters first used at one step are complete together: in the order of their names.
      let complete = (parametersByStep[steps.count] ?? []).compactMap { id in parameters[id].map { ($0.parameter, id) }
      }
      for (parameter, id) in complete.sorted(by: { $0.0.name < $1.0.name }) {
        if let gradient = gradients.removeValue(forKey: id) { parameterGradient(parameter, gradient) }
      }
    }
    return watched.map { gradients[$0.id] }
  }
}
