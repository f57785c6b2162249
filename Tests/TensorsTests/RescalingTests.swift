import Tensors
import TestSupport
import XCTest

/// Weight-decomposed linear maps (DoRA): norms, outputs and gradients against their formulas in double precision.
final class RescalingTests: XCTestCase {
  /// x [T, in], W [out, in], A [r, in], B [out, r], m [out], b [out]
  private struct Case {
    var tokens = 5
    var inputs = 7
    var outputs = 3
    var rank = 2
    var layout = WeightLayout.outputsFirst
    var dropout: Dropout?
    let scale: Float = 1.5

    func numbers(_ name: String, _ count: Int) -> [Float] {
      let stream = RandomStream([9]).named(name)
      return (0..<count).map { Float(stream.uniform(at: $0) * 2 - 1) }
    }

    var x: [Float] { numbers("x", tokens * inputs) }
    /// By outputs.
    var weight: [Float] { numbers("W", outputs * inputs) }
    var down: [Float] { numbers("A", rank * inputs) }
    var up: [Float] { numbers("B", outputs * rank) }
    var magnitude: [Float] { numbers("m", outputs) }
    var bias: [Float] { numbers("b", outputs) }

    func stored(_ backend: any Backend, as type: DType = .float32) -> Tensor {
      let tensor = backend.tensor(weight, [outputs, inputs])
      return backend.cast(layout == .outputsFirst ? tensor : backend.transposed(tensor, as: .float32), to: type)
    }

    /// W + s B A, by outputs.
    func whole(_ weight: [Float]) -> [Double] {
      let (down, up) = (down, up)
      return (0..<outputs * inputs).map { place in
        let (row, column) = (place / inputs, place % inputs)
        return (0..<rank).reduce(Double(weight[place])) {
          $0 + Double(scale) * Double(up[row * rank + $1]) * Double(down[$1 * inputs + column])
        }
      }
    }

    func norms(_ weight: [Float]) -> [Double] {
      let whole = whole(weight)
      return (0..<outputs).map { row in
        whole[row * inputs..<(row + 1) * inputs].reduce(0) { $0 + $1 * $1 }.squareRoot()
      }
    }
  }

  private static let sizes = [
    Case(), Case(layout: .inputsFirst), Case(tokens: 40, inputs: 300, outputs: 150, rank: 5),
    Case(tokens: 40, inputs: 300, outputs: 150, rank: 5, layout: .inputsFirst),
  ]

  func testNorms() throws {
    for type in [DType.float32, .bfloat16] {
      for sizes in RescalingTests.sizes {
        var found: [[Float]] = []
        for threads in [1, 3] {
          let backend = try CPUBackend(threads: threads)
          let stored = sizes.stored(backend, as: type)
          let flat = backend.cast(stored, to: .float32)
          let weight = backend.read(sizes.layout == .outputsFirst ? flat : backend.transposed(flat, as: .float32))
          let norms = backend.read(
            backend.outputNorms(
              stored, sizes.layout, down: backend.tensor(sizes.down, [sizes.rank, sizes.inputs]),
              up: backend.tensor(sizes.up, [sizes.outputs, sizes.rank]), scale: sizes.scale))
          for (norm, wanted) in zip(norms, sizes.norms(weight)) {
            XCTAssertEqual(Double(norm), wanted, accuracy: 1e-6 * wanted, "\(sizes.layout), \(type)")
          }
          found.append(norms)
        }
        XCTAssertTrue(sameBits(found[0], found[1]), "threads")
      }
    }
  }

  /// A row of zeros has no direction: its output is zero, and no number is lost over it.
  func testARowOfZeros() throws {
    let backend = try CPUBackend(threads: 1)
    let context = Context(backend, recording: true)
    let (x, m) = (backend.tensor([1, 2, 3], [1, 3]), backend.tensor([0, 2], [2]))
    for tensor in [x, m] { context.watch(tensor) }
    let update = LowRank(
      down: backend.tensor([1, 1, 1], [1, 3]), up: backend.zeros([2, 1]), scale: 1, magnitude: m)
    let y = context.linear(x, Projection(backend.tensor([0, 0, 0, 3, 0, 4], [2, 3]), update: update))
    XCTAssertEqual(backend.read(y), [0, 6])
    let gradients = context.backward(from: y, seed: backend.tensor([1, 1], [1, 2]), watched: [x, m]) { _, _ in }
    XCTAssertEqual(gradients.compactMap { $0 }.flatMap(backend.read).filter(\.isFinite).count, 5)
  }

  /// y = (x − d) Wᵀ + b + g · d (W + s B A)ᵀ with d = dropout(x), and its gradients with g as a constant but for m.
  func testOutputsAndGradients() throws {
    for dropout in [nil, Dropout(rate: 0.4, RandomStream([3]))] {
      for var sizes in RescalingTests.sizes {
        sizes.dropout = dropout
        for threads in [1, 2] { try check(sizes, CPUBackend(threads: threads)) }
      }
    }
  }

  private func check(_ sizes: Case, _ backend: any Backend) throws {
    let (tokens, inputs, outputs, rank) = (sizes.tokens, sizes.inputs, sizes.outputs, sizes.rank)
    let (x, m, b) = (
      backend.tensor(sizes.x, [tokens, inputs]), backend.tensor(sizes.magnitude, [outputs]),
      backend.tensor(sizes.bias, [outputs])
    )
    let (down, up) = (backend.tensor(sizes.down, [rank, inputs]), backend.tensor(sizes.up, [outputs, rank]))
    let residual = backend.tensor(sizes.numbers("r", tokens * outputs), [tokens, outputs])
    let context = Context(backend, recording: true)
    let watched = [x, m, b, down, up, residual]
    for tensor in watched { context.watch(tensor) }
    let update = LowRank(down: down, up: up, scale: sizes.scale, dropout: sizes.dropout, magnitude: m)
    let projection = Projection(sizes.stored(backend), bias: b, layout: sizes.layout, update: update)
    let y = context.linear(x, projection, addingTo: residual)

    let (whole, norms) = (sizes.whole(sizes.weight), sizes.norms(sizes.weight))
    let factors = zip(sizes.magnitude, norms).map { Double($0) / $1 }
    let seen = sizes.dropout.map { backend.read(backend.dropout(x, $0)) } ?? sizes.x
    let masks = zip(seen, sizes.x).map { $1 == 0 ? 0 : Double($0) / Double($1) }
    let (weight, seed) = (sizes.weight, sizes.numbers("dy", tokens * outputs))
    let (x0, down0, up0, bias0, residual0) = (sizes.x, sizes.down, sizes.up, sizes.bias, backend.read(residual))
    var (output, dx) = ([Double](), [Double](repeating: 0, count: tokens * inputs))
    var (dm, db) = ([Double](repeating: 0, count: outputs), [Double](repeating: 0, count: outputs))
    var (dDown, dUp) = ([Double](repeating: 0, count: rank * inputs), [Double](repeating: 0, count: outputs * rank))
    for token in 0..<tokens {
      for row in 0..<outputs {
        var (through, plain) = (0.0, 0.0)
        let dy = Double(seed[token * outputs + row])
        for column in 0..<inputs {
          let (at, place) = (token * inputs + column, row * inputs + column)
          let rest = Double(x0[at]) - Double(seen[at])
          through += Double(seen[at]) * whole[place]
          plain += rest * Double(weight[place])
          dx[at] += dy * (Double(weight[place]) * (1 - masks[at]) + factors[row] * whole[place] * masks[at])
          let dWhole = dy * factors[row] * Double(seen[at]) * Double(sizes.scale)
          for j in 0..<rank {
            dUp[row * rank + j] += dWhole * Double(down0[j * inputs + column])
            dDown[j * inputs + column] += dWhole * Double(up0[row * rank + j])
          }
        }
        output.append(
          plain + Double(bias0[row]) + factors[row] * through + Double(residual0[token * outputs + row]))
        dm[row] += dy * through / norms[row]
        db[row] += dy
      }
    }
    let about = "\(sizes.layout), \(inputs) inputs, dropout \(sizes.dropout != nil)"
    XCTAssertLessThan(relativeDistance(backend.read(y), output.map(Float.init)), 1e-6, about)
    let gradients = context.backward(
      from: y, seed: backend.tensor(seed, [tokens, outputs]), watched: watched
    ) { _, _ in }
    for (index, wanted) in [dx, dm, db, dDown, dUp, seed.map(Double.init)].enumerated() {
      let own = backend.read(try XCTUnwrap(gradients[index]))
      XCTAssertLessThan(relativeDistance(own, wanted.map(Float.init)), 2e-6, "\(about): gradient \(index)")
    }
  }

  /// Maps of one x: with magnitudes, without, and one whose output nobody uses.
  func testBesideOtherMaps() throws {
    let backend = try CPUBackend(threads: 2)
    let sizes = Case()
    let x = backend.tensor(sizes.x, [5, 7])
    let (down, up) = (backend.tensor(sizes.down, [2, 7]), backend.tensor(sizes.up, [3, 2]))
    let m = backend.tensor(sizes.magnitude, [3])
    let dora = Projection(sizes.stored(backend), update: LowRank(down: down, up: up, scale: 1.5, magnitude: m))
    let lora = Projection(sizes.stored(backend), update: LowRank(down: down, up: up, scale: 1.5))
    let seed = backend.tensor(sizes.numbers("dy", 15), [5, 3])
    func gradients(_ body: (Context) -> Tensor) -> [[Float]] {
      let context = Context(backend, recording: true)
      for tensor in [x, down, up, m] { context.watch(tensor) }
      let found = context.backward(from: body(context), seed: seed, watched: [x, down, up, m]) { _, _ in }
      return found.map { $0.map(backend.read) ?? [] }
    }
    let joined = gradients { context in
      let all = context.linear(x, [dora, lora, dora])
      return context.add(all[0], all[1])
    }
    let apart = gradients { context in context.add(context.linear(x, dora), context.linear(x, lora)) }
    for (own, wanted) in zip(joined, apart) { XCTAssertLessThan(relativeDistance(own, wanted), 1e-6) }
  }

  /// A head with an update: the loss of merged weights, and its gradients.
  func testCrossEntropyUnderAnUpdatedHead() throws {
    let backend = try CPUBackend(threads: 1)
    let sizes = Case(tokens: 6, inputs: 8, outputs: 11, rank: 3)
    let (hidden, targets) = (backend.tensor(sizes.x, [6, 8]), backend.tensor([1, 4, 0, 10, 4, 7] as [Int32]))
    let (down, up) = (backend.tensor(sizes.down, [3, 8]), backend.tensor(sizes.up, [11, 3]))
    let merged = backend.tensor(sizes.whole(sizes.weight).map(Float.init), [11, 8])
    func run(_ watched: [Tensor], _ body: (Context) -> Tensor) -> (Float, [[Float]]) {
      let context = Context(backend, recording: true)
      for tensor in watched { context.watch(tensor) }
      let sum = body(context)
      let found = context.backward(from: sum, seed: backend.tensor([1], [1]), watched: watched) { _, _ in }
      return (backend.read(sum)[0], found.map { $0.map(backend.read) ?? [] })
    }
    let (wanted, expected) = run([hidden, merged]) {
      $0.crossEntropy(hidden: hidden, head: merged, targets: targets).sum
    }
    let head = Projection(sizes.stored(backend), update: LowRank(down: down, up: up, scale: sizes.scale))
    let (own, found) = run([hidden, down, up]) { $0.crossEntropy(hidden: hidden, head, targets: targets).sum }
    XCTAssertEqual(own, wanted, accuracy: 1e-5 * wanted)
    XCTAssertLessThan(relativeDistance(found[0], expected[0]), 1e-5)
    // dB = s dW Aᵀ, dA = s Bᵀ dW
    let dWhole = backend.tensor(expected[1], [11, 8])
    let dUp = backend.product(Factor(dWhole), Factor(down, transposed: true), scale: sizes.scale)
    let dDown = backend.product(Factor(up, transposed: true), Factor(dWhole), scale: sizes.scale)
    XCTAssertLessThan(relativeDistance(found[1], backend.read(dDown)), 1e-5)
    XCTAssertLessThan(relativeDistance(found[2], backend.read(dUp)), 1e-5)
  }
}
