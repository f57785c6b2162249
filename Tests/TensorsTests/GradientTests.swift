import Foundation
import Tensors
import XCTest

/// Every operation's pullback against central differences.
final class GradientTests: XCTestCase {
  private func random(_ shape: [Int], _ name: String, _ backend: any Backend) -> Tensor {
    let stream = RandomStream([7]).named(name)
    return backend.tensor((0..<shape.reduce(1, *)).map { Float(stream.uniform(at: $0) * 2 - 1) }, shape)
  }

  /// Compares d(Σ weights · f(inputs)) / d inputs with differences along random directions.
  private func check(
    _ name: String, _ shapes: [[Int]], tolerance: Double = 2e-3, _ body: ([Tensor], Context) -> Tensor
  ) throws {
    for threads in [1, 2] {
      let backend = try CPUBackend(threads: threads)
      let inputs = shapes.enumerated().map { random($1, "\(name)\($0)", backend) }
      let context = Context(backend, recording: true)
      for input in inputs { context.watch(input) }
      let output = body(inputs, context)
      let weights = random(output.shape, name + "weights", backend)
      let gradients = context.backward(from: output, seed: weights, watched: inputs) { _, _ in }
      func weighted(_ inputs: [Tensor]) -> Double {
        let y = backend.read(body(inputs, Context(backend)))
        return zip(y, backend.read(weights)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      }
      for (index, input) in inputs.enumerated() {
        let gradient = try XCTUnwrap(gradients[index], "\(name): no gradient of input \(index)")
        let direction = random(input.shape, name + "direction\(index)", backend)
        let step: Float = 1e-2
        func moved(_ sign: Float) -> Double {
          var changed = inputs
          changed[index] = backend.add(input, backend.scale(direction, by: sign * step))
          return weighted(changed)
        }
        let difference = (moved(1) - moved(-1)) / Double(2 * step)
        let slope = zip(backend.read(gradient), backend.read(direction)).reduce(0.0) {
          $0 + Double($1.0) * Double($1.1)
        }
        XCTAssertEqual(
          slope, difference, accuracy: tolerance * max(1, abs(difference)),
          "\(name), input \(index), \(threads) threads")
      }
    }
  }

  func testLinear() throws {
    try check("linear", [[5, 7], [3, 7], [3]]) { $1.linear($0[0], Projection($0[1], bias: $0[2])) }
    try check("linear [in, out]", [[5, 7], [7, 3], [3]]) {
      $1.linear($0[0], Projection($0[1], bias: $0[2], layout: .inputsFirst))
    }
    try check("linear with a residual", [[5, 7], [3, 7], [5, 3]]) {
      $1.linear($0[0], Projection($0[1]), addingTo: $0[2])
    }
    try check("linear with a bias and a residual", [[5, 7], [3, 7], [3], [5, 3]]) {
      $1.linear($0[0], Projection($0[1], bias: $0[2]), addingTo: $0[3])
    }
  }

  func testTanhAndLossesOfLabels() throws {
    try check("tanh", [[5, 7]]) { $1.tanh($0[0]) }
    let targets = (0..<15).map { Float($0 % 4) / 3 }
    try check("label cross-entropy", [[5, 3]]) { $1.labelCrossEntropy($0[0], targets: [0, 2, 1, 1, 2]).sum }
    try check("label binary cross-entropy", [[5, 3]]) { $1.labelBinaryCrossEntropy($0[0], targets: targets).sum }
    try check("label squared error", [[5, 3]]) { $1.labelSquaredError($0[0], targets: targets).sum }
    // A loss is as exact far out: softplus does not overflow, and log-softmax has no log of 0.
    let context = Context(try CPUBackend(threads: 1))
    let far = context.backend.tensor([500, -500, 0, 0], [2, 2])
    XCTAssertEqual(context.labelCrossEntropy(far, targets: [1, 0]).losses[0], 1000, accuracy: 1e-9)
    XCTAssertEqual(context.labelBinaryCrossEntropy(far, targets: [0, 1, 0, 1]).losses[0], 500, accuracy: 1e-9)
    XCTAssertEqual(context.labelBinaryCrossEntropy(far, targets: [0, 1, 0, 1]).losses[1], log(2), accuracy: 1e-12)
  }

  func testLinearAcrossTiles() throws {
    try check("linear, several tiles", [[600, 20], [900, 20]], tolerance: 5e-3) { $1.linear($0[0], Projection($0[1])) }
  }

  func testLowRankLinear() throws {
    try check("lora", [[5, 7], [3, 7], [2, 7], [3, 2]]) {
      $1.linear($0[0], Projection($0[1], update: LowRank(down: $0[2], up: $0[3], scale: 1.5)))
    }
    let dropout = Dropout(rate: 0.4, RandomStream([3]))
    try check("lora with dropout", [[5, 7], [7, 3], [2, 7], [3, 2], [3]]) {
      $1.linear(
        $0[0],
        Projection(
          $0[1], bias: $0[4], layout: .inputsFirst,
          update: LowRank(down: $0[2], up: $0[3], scale: 1.5, dropout: dropout)))
    }
  }

  /// Three maps of one x: two whose updates are joined, one of another scale, and one whose output nobody uses.
  func testSeveralLinearMapsOfTheSameInput() throws {
    let shapes = [[5, 7], [3, 7], [2, 7], [3, 2], [4, 7], [3, 7], [4, 3], [6, 7], [2, 7], [6, 2], [4, 7]]
    for dropout in [nil, Dropout(rate: 0.3, RandomStream([4]))] {
      try check("joined", shapes) {
        let outputs = $1.linear(
          $0[0],
          [
            Projection($0[1], update: LowRank(down: $0[2], up: $0[3], scale: 2)),
            Projection($0[4], update: LowRank(down: $0[5], up: $0[6], scale: 2)),
            Projection($0[7], update: LowRank(down: $0[8], up: $0[9], scale: 0.5, dropout: dropout)),
          ])
        return $1.joinColumns([outputs[0], $1.add(outputs[1], $1.linear($0[0], Projection($0[10]))), outputs[2]])
      }
    }
  }

  func testMapsOfWhatIsMadeAgain() throws {
    let shapes = [[5, 6], [6], [4, 6], [2, 6], [4, 2], [4, 6], [3, 4], [2, 4], [3, 2]]
    try check("norm, maps, gate, map", shapes) {
      let normed = $1.rmsNormBranch($0[0], $0[1], epsilon: 1e-5).normed
      let first = Projection($0[2], update: LowRank(down: $0[3], up: $0[4], scale: 1))
      let parts = $1.linear(normed, [first, Projection($0[5])])
      let gated = $1.gated(.silu, gate: parts[0], up: parts[1])
      return $1.linear(gated, Projection($0[6], update: LowRank(down: $0[7], up: $0[8], scale: 0.5)))
    }
  }

  /// A linear map keeps its input where nothing makes it again and something of the map is trained.
  func testWhatALinearMapKeeps() throws {
    let backend = try CPUBackend(threads: 1)
    let (x, up, row) = (random([4, 6], "x", backend), random([4, 6], "up", backend), random([6], "row", backend))
    let weight = random([3, 6], "w", backend)
    let update = LowRank(down: random([2, 6], "A", backend), up: random([3, 2], "B", backend), scale: 1)
    func keeps(_ update: LowRank?, _ make: (Context) -> Tensor) -> Bool {
      let context = Context(backend, recording: true)
      for tensor in [x, up] { context.watch(tensor) }
      weak var input: Tensor?
      func run() {
        let made = make(context)
        input = made
        _ = context.linear(made, Projection(weight, update: update))
      }
      run()
      return withExtendedLifetime(context) { input != nil }
    }
    XCTAssertTrue(keeps(update) { $0.tanh(x) }, "nothing makes it again")
    XCTAssertFalse(keeps(nil) { $0.tanh(x) }, "frozen")
    XCTAssertFalse(keeps(update) { $0.rmsNormBranch(x, row, epsilon: 1e-5).normed })
    XCTAssertFalse(keeps(update) { $0.layerNorm(x, row, row, epsilon: 1e-5) })
    XCTAssertFalse(keeps(update) { $0.activate(.silu, x) })
    XCTAssertFalse(keeps(update) { $0.gated(.silu, gate: x, up: up) })
    XCTAssertTrue(keeps(update) { $0.gated(.silu, gate: x, up: up, as: .bfloat16) }, "small beside what makes it")
  }

  func testAnOutputWithoutAGradient() throws {
    let backend = try CPUBackend(threads: 2)
    let (x, w) = (random([4, 6], "x", backend), random([3, 6], "w", backend))
    let updates = ["0", "1"].map { name in
      LowRank(down: random([2, 6], "A" + name, backend), up: random([3, 2], "B" + name, backend), scale: 1)
    }
    let context = Context(backend, recording: true)
    let watched = [x, updates[0].down, updates[1].down, updates[0].up, updates[1].up]
    for tensor in watched { context.watch(tensor) }
    let outputs = context.linear(x, updates.map { Projection(w, update: $0) })
    let found = context.backward(
      from: outputs[1], seed: random([4, 3], "dy", backend), watched: watched
    ) { _, _ in }
    XCTAssertEqual(found.map { $0 != nil }, [true, false, true, false, true])
    let alone = Context(backend, recording: true)
    for tensor in watched { alone.watch(tensor) }
    let output = alone.linear(x, Projection(w, update: updates[1]))
    let expected = alone.backward(from: output, seed: random([4, 3], "dy", backend), watched: watched) { _, _ in }
    for index in [0, 2, 4] {
      XCTAssertEqual(
        backend.read(try XCTUnwrap(found[index])), backend.read(try XCTUnwrap(expected[index])), "input \(index)")
    }
  }

  func testMeansOfRows() throws {
    try check("meanRows", [[6, 5]]) { $1.meanRows($0[0], [[0, 2, 2], [5], [1, 0, 4, 3]]) }
    let context = Context(try CPUBackend(threads: 1))
    let x = context.backend.tensor([1, 2, 3, 4, 5, 9], [3, 2])
    XCTAssertEqual(context.backend.read(context.meanRows(x, [[0, 2], [1]])), [3, 5.5, 3, 4])
  }

  func testLossesOfPairs() throws {
    for normalises in [true, false] {
      try check("squaredDistance", [[4, 6], [4, 6]]) { $1.squaredDistance($0[0], $0[1], normalises: normalises).sum }
    }
    try check("preference", [[7], [7]]) { $1.preference(better: $0[0], worse: $0[1], groups: [0..<3, 4..<5]).sum }
    try check("weighted preference", [[7], [7]]) {
      $1.preference(
        better: $0[0], worse: $0[1], groups: [0..<3, 4..<5], weights: [0.5, 2, 1, 9, 0.25, 1, 1]
      ).sum
    }
    let context = Context(try CPUBackend(threads: 1))
    let zero = context.backend.zeros([1, 3])
    XCTAssertEqual(context.squaredDistance(zero, zero, normalises: true).value, 0, "no length is no division by 0")
  }

  func testLossesOfTokens() throws {
    let backend = try CPUBackend(threads: 1)
    let targets = backend.tensor([2, 0, 10, 5])
    let teacher = (hidden: random([4, 3], "their states", backend), head: random([11, 3], "their head", backend))
    func terms(_ change: (inout TokenTerms) -> Void) -> TokenTerms {
      var terms = TokenTerms()
      change(&terms)
      return terms
    }
    let update = LowRank(down: random([2, 6], "down", backend), up: random([11, 2], "up", backend), scale: 0.5)
    for (name, terms) in [
      ("smoothed", terms { ($0.crossEntropy, $0.smoothing) = (0.7, 0.2) }),
      ("z-loss", terms { $0.squaredLogSum = 0.3 }),
      ("distillation", terms { ($0.distillation, $0.temperature) = (1.5, 2.5) }),
      ("all", terms { ($0.crossEntropy, $0.smoothing, $0.squaredLogSum, $0.distillation) = (1, 0.1, 0.2, 0.4) }),
    ] {
      let isTaught = terms.distillation > 0
      try check(name, [[4, 6], [11, 6]]) {
        $1.tokenLosses(hidden: $0[0], Projection($0[1]), targets: targets, teacher: isTaught ? teacher : nil, terms).sum
      }
      let counts = backend.tensor([0.5, 1, 3, 0.25], [4])
      try check(name + " by weight", [[4, 6], [11, 6]]) {
        $1.tokenLosses(
          hidden: $0[0], Projection($0[1]), targets: targets, weights: counts, teacher: isTaught ? teacher : nil, terms
        ).sum
      }
      try check(name + " under an update", [[4, 6]]) {
        let head = Projection(random([11, 6], "head", backend), update: update)
        return $1.tokenLosses(hidden: $0[0], head, targets: targets, teacher: isTaught ? teacher : nil, terms).sum
      }
    }
    try check("tokenLogLosses", [[4, 6], [11, 6]]) {
      $1.tokenLogLosses(hidden: $0[0], Projection($0[1]), targets: targets)
    }
  }

  func testSeveralRootsAreOneWalkBack() throws {
    let backend = try CPUBackend(threads: 1)
    let context = Context(backend, recording: true)
    let x = random([3, 4], "x", backend)
    context.watch(x)
    let first = context.scale(x, by: 2)
    let second = context.scale(first, by: 5)
    let (seed, other) = (random([3, 4], "seed", backend), random([3, 4], "other", backend))
    let found = context.backward(from: [(second, seed), (first, other), (first, other)], watched: [x]) { _, _ in }
    let wanted = zip(backend.read(seed), backend.read(other)).map { 2 * (5 * $0 + ($1 + $1)) }
    XCTAssertEqual(backend.read(try XCTUnwrap(found[0])), wanted)
  }

  func testArithmetic() throws {
    try check("add", [[4, 6], [4, 6]]) { $1.add($0[0], $0[1]) }
    try check("add to itself", [[4, 6]]) { $1.add($0[0], $0[0]) }
    try check("scale", [[4, 6]]) { $1.scale($0[0], by: -2.5) }
    try check("addRepeated", [[6, 5], [3, 5]]) { $1.addRepeated($0[0], $0[1]) }
    try check("dropout", [[9, 6]]) { $1.dropout($0[0], Dropout(rate: 0.3, RandomStream([1]))) }
  }

  func testActivations() throws {
    for kind in [Activation.gelu, .geluTanh, .quickGELU, .silu] {
      try check("\(kind)", [[6, 9]]) { $1.activate(kind, $0[0]) }
      try check("gated \(kind)", [[6, 9], [6, 9]]) {
        $1.gated(kind, gate: $1.scale($0[0], by: 1), up: $1.scale($0[1], by: 1))
      }
    }
  }

  func testNorms() throws {
    try check("rmsNorm", [[5, 12], [12]]) { $1.rmsNorm($0[0], $0[1], epsilon: 1e-5) }
    try check("layerNorm", [[5, 12], [12], [12]]) { $1.layerNorm($0[0], $0[1], $0[2], epsilon: 1e-5) }
    try check("a residual branch", [[5, 12], [12]]) {
      let (residual, normed) = $1.rmsNormBranch($0[0], $0[1], epsilon: 1e-5)
      return $1.add(residual, normed)
    }
    try check("a branch whose residual nobody uses", [[5, 12], [12]]) {
      $1.rmsNormBranch($0[0], $0[1], epsilon: 1e-5).normed
    }
    try check("a branch whose norm nobody uses", [[5, 12]]) {
      $1.scale($1.rmsNormBranch($0[0], $1.backend.zeros([12]), epsilon: 1e-5).residual, by: 3)
    }
    try check("rmsNorm, many rows", [[2000, 40], [40]], tolerance: 2e-2) { $1.rmsNorm($0[0], $0[1], epsilon: 1e-5) }
  }

  func testAttention() throws {
    let shape = AttentionShape(heads: 4, keyHeads: 2, headWidth: 3)
    let sequences = Sequences(lengths: [5, 1, 70])
    for mask in [AttentionMask.causal, .bidirectional] {
      try check("attention \(mask)", [[76, 12], [76, 6], [76, 6]]) {
        $1.attention($0[0], $0[1], $0[2], shape, sequences, mask)
      }
    }
    let dropout = Dropout(rate: 0.25, RandomStream([5]))
    try check("attention with dropout", [[76, 12], [76, 6], [76, 6]]) {
      $1.attention($0[0], $0[1], $0[2], shape, sequences, .causal, dropout: dropout)
    }
  }

  func testRotary() throws {
    let backend = try CPUBackend(threads: 1)
    let angles = (0..<12).map { Float($0) * 0.3 }
    let (cosines, sines) = (
      backend.tensor(angles.map { cos($0) }, [4, 3]), backend.tensor(angles.map { sin($0) }, [4, 3])
    )
    let positions = backend.tensor([0, 1, 2, 3, 1] as [Int32])
    try check("rotary", [[5, 12]]) {
      $1.rotary($1.scale($0[0], by: 1), heads: 2, positions: positions, cosines: cosines, sines: sines)
    }
  }

  func testRows() throws {
    let backend = try CPUBackend(threads: 1)
    let indices = backend.tensor([3, 0, 3, 1] as [Int32])
    try check("gatherRows", [[4, 5]]) { $1.gatherRows($0[0], indices) }
    let places = backend.tensor([4, 1] as [Int32])
    try check("replaceRows", [[6, 5], [2, 5]]) { $1.replaceRows($0[0], places, with: $0[1]) }
    try check("prepend", [[2, 5], [6, 5]]) { $1.prepend($0[0], to: $0[1], runs: [0..<1, 1..<4, 4..<6]) }
    try check("tanh", [[3, 4]]) { $1.tanh($0[0]) }
    try check("joinColumns", [[4, 2], [4, 5]]) { $1.joinColumns($0) }
    try check("columns", [[4, 9]]) { inputs, context in
      let parts = context.columns(inputs[0], [0..<3, 3..<6, 6..<9])
      return context.gated(.silu, gate: context.add(parts[0], parts[1]), up: parts[2])
    }
    // Between them columns that nobody takes, and a part that no gradient reaches.
    try check("some columns", [[4, 9]]) { inputs, context in context.columns(inputs[0], [1..<3, 3..<4, 6..<8])[2] }
    try check("reshape", [[4, 6]]) { $1.activate(.silu, $1.reshape($0[0], [8, 3])) }
  }

  func testCrossEntropy() throws {
    let backend = try CPUBackend(threads: 1)
    let targets = backend.tensor([2, 0, 10, 5] as [Int32])
    try check("crossEntropy", [[4, 6], [11, 6]]) { $1.crossEntropy(hidden: $0[0], head: $0[1], targets: targets).sum }
    let weights = backend.tensor([0.5, 1, 3, 0.25], [4])
    try check("crossEntropy by weight", [[4, 6], [11, 6]]) {
      $1.crossEntropy(hidden: $0[0], head: $0[1], targets: targets, weights: weights).sum
    }
    // Rows of weight 1 have the bits that they have without weights.
    let (hidden, head) = (random([4, 6], "hidden", backend), random([11, 6], "head", backend))
    func rows(_ weights: Tensor?) -> [Float] {
      let found = backend.crossEntropy(
        hidden: hidden, head: head, targets: targets, rowWeights: weights, wants: (true, false))
      return found.hidden.map(backend.read) ?? []
    }
    XCTAssertEqual(rows(weights)[6..<12], rows(nil)[6..<12])
    for (weighted, plain) in zip(rows(weights)[12..<18], rows(nil)[12..<18]) {
      XCTAssertEqual(weighted, 3 * plain, accuracy: 1e-6)
    }
  }

  func testRecomputationGivesTheSameBits() throws {
    let backend = try CPUBackend(threads: 2)
    let (x, weight) = (random([6, 8], "x", backend), Parameter(name: "weight", shape: [8, 8]))
    weight.value = random([8, 8], "w", backend)
    weight.isTrainable = true
    let layer = { (x: Tensor, context: Context) -> Tensor in
      context.add(x, context.activate(.gelu, context.linear(x, Projection(context[weight]))))
    }
    var found: [[Float]] = []
    for recomputes in [false, true] {
      let context = Context(backend, recording: true, recomputesLayers: recomputes)
      let y = context.layer(context.layer(x, layer), layer)
      context.backward(from: y, seed: random([6, 8], "seed", backend)) { parameter, gradient in
        XCTAssertEqual(parameter.name, "weight")
        found.append(backend.read(gradient))
      }
    }
    XCTAssertEqual(found.count, 2)
    XCTAssertEqual(found[0], found[1])
  }

  func testNoGradientIsRecordedForFrozenWeights() throws {
    let backend = try CPUBackend(threads: 1)
    let frozen = Parameter(name: "frozen", shape: [8, 8])
    frozen.value = random([8, 8], "w", backend)
    let context = Context(backend, recording: true)
    let y = context.linear(random([6, 8], "x", backend), Projection(context[frozen]))
    XCTAssertFalse(context.tracks(y))
  }
}
