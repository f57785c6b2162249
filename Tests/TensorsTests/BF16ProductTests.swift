import Tensors
import XCTest

/// Products with bf16 weights against sums in double precision over the same rounded numbers.
final class BF16ProductTests: XCTestCase {
  /// Both ways of computing where the processor can do both.
  private let ways = BF16Products.allCases.filter { $0 == .widened || BF16Products.best == .native }

  /// To the nearest bf16 number, ties to the even one.
  private func rounded(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits + 0x7fff + (bits >> 16) & 1) & 0xffff_0000)
  }

  private func random(_ count: Int, _ name: String) -> [Float] {
    let stream = RandomStream([11]).named(name)
    return (0..<count).map { Float(stream.uniform(at: $0) * 2 - 1) }
  }

  /// Values as bf16, between two rows of NaN that nothing may read.
  private func guarded(_ values: [Float], _ shape: [Int], _ backend: CPUBackend) -> Tensor {
    let edge = [Float](repeating: .nan, count: shape[1])
    let all = backend.tensor(edge + values + edge, [shape[0] + 2, shape[1]])
    return backend.cast(all, to: .bfloat16).slice(1..<shape[0] + 1)
  }

  /// Σ over k of a[i, k] · op(b)[k, j], and the same of absolute values.
  private func sums(
    _ a: [Float], _ b: [Float], _ i: Int, _ j: Int, n: Int, k: Int, transposed: Bool
  ) -> (sum: Double, absolute: Double) {
    (0..<k).reduce(into: (0, 0)) { found, p in
      let term = Double(a[i * k + p]) * Double(transposed ? b[j * k + p] : b[p * n + j])
      found.0 += term
      found.1 += abs(term)
    }
  }

  private func check(m: Int, n: Int, k: Int, transposed: Bool, scale: Float, adds: Bool, _ way: BF16Products) throws {
    let backend = try CPUBackend(threads: 2, bf16Products: way)
    let (a, b, before) = (random(m * k, "a"), random(n * k, "b").map(rounded), random(m * n, "before"))
    let weight = guarded(b, transposed ? [n, k] : [k, n], backend)
    let y = backend.product(
      backend.tensor(a, [m, k]), transposed: false, weight, transposed: transposed, scale: scale,
      addingTo: adds ? backend.tensor(before, [m, n]) : nil)
    XCTAssertEqual(y.shape, [m, n])
    XCTAssertEqual(y.dtype, .float32)
    let (found, near) = (backend.read(y), a.map(rounded))
    for i in 0..<m {
      for j in 0..<n {
        let (sum, absolute) = sums(near, b, i, j, n: n, k: k, transposed: transposed)
        let start = adds ? Double(before[i * n + j]) : 0
        let expected = start + Double(scale) * sum
        let tolerance = 1e-6 * (abs(start) + abs(Double(scale)) * absolute)
        guard abs(Double(found[i * n + j]) - expected) <= tolerance else {
          return XCTFail(
            "\(way) [\(m), \(k)] × [\(k), \(n)], transposed \(transposed), adds \(adds): "
              + "\(found[i * n + j]) at \(i), \(j) where \(expected) ± \(tolerance) is right")
        }
      }
    }
  }

  func testValues() throws {
    let shapes = [
      (1, 1, 1), (1, 70, 3), (2, 5, 2), (3, 31, 31), (4, 64, 32), (5, 33, 63), (6, 65, 64), (7, 129, 255),
      (13, 17, 256), (64, 200, 257), (100, 48, 600), (197, 131, 40), (400, 300, 33),
    ]
    for way in ways {
      for (m, n, k) in shapes {
        for transposed in [true, false] {
          try check(m: m, n: n, k: k, transposed: transposed, scale: 1, adds: false, way)
          try check(m: m, n: n, k: k, transposed: transposed, scale: -0.75, adds: true, way)
        }
      }
      try check(m: 3, n: 40, k: 1200, transposed: true, scale: 0.5, adds: false, way)
      try check(m: 3, n: 40, k: 1200, transposed: false, scale: 1, adds: true, way)
    }
  }

  func testActivationsAreRoundedToTheNearestEven() throws {
    let (unit, tie) = (Float(0x1p-7), Float(0x1p-8))
    let inputs: [Float] = [
      1 + tie, 1 + unit + tie, 1 + tie + 0x1p-20, -1 - tie, 3.0e38, .infinity, -.infinity, 0, -1 - unit - tie,
    ]
    let expected: [Float] = [
      1, 1 + 2 * unit, 1 + unit, -1, rounded(3.0e38), .infinity, -.infinity, 0, -1 - 2 * unit,
    ]
    for way in ways {
      let backend = try CPUBackend(threads: 1, bf16Products: way)
      let one = backend.cast(backend.tensor([1], [1, 1]), to: .bfloat16)
      let y = backend.product(
        backend.tensor(inputs + [.nan], [10, 1]), transposed: false, one, transposed: true, scale: 1, addingTo: nil)
      XCTAssertEqual(Array(backend.read(y).prefix(9)), expected, "\(way)")
      XCTAssertTrue(backend.read(y)[9].isNaN, "\(way)")
    }
  }

  func testRoundedActivationsAreTakenAsTheyAre() throws {
    let (m, n, k) = (9, 20, 31)
    for way in ways {
      let backend = try CPUBackend(threads: 1, bf16Products: way)
      let a = random(m * k, "a")
      let weight = backend.cast(backend.tensor(random(n * k, "b"), [n, k]), to: .bfloat16)
      let found = [backend.tensor(a, [m, k]), guarded(a, [m, k], backend)].map {
        backend.read(backend.product($0, transposed: false, weight, transposed: true, scale: 1, addingTo: nil))
      }
      XCTAssertEqual(found[0], found[1], "\(way)")
    }
  }

  func testBitsDoNotDependOnThreads() throws {
    for way in ways {
      for (m, n, k) in [(528, 192, 96), (64, 1000, 300), (7, 64, 700)] {
        for transposed in [true, false] {
          let found = try [1, 2, 3].map { threads in
            let backend = try CPUBackend(threads: threads, bf16Products: way)
            let weight = backend.tensor(random(n * k, "b"), transposed ? [n, k] : [k, n])
            return backend.read(
              backend.product(
                backend.tensor(random(m * k, "a"), [m, k]), transposed: false, backend.cast(weight, to: .bfloat16),
                transposed: transposed, scale: 1, addingTo: backend.tensor(random(m * n, "y"), [m, n])))
          }
          XCTAssertEqual(found[0], found[1], "\(way) \(m) \(n) \(k)")
          XCTAssertEqual(found[0], found[2], "\(way) \(m) \(n) \(k)")
        }
      }
    }
  }

  func testARowDoesNotDependOnTheOthers() throws {
    guard BF16Products.best == .native else { throw XCTSkip("this processor has no bf16 instructions") }
    let (m, n, k) = (250, 150, 300)
    let backend = try CPUBackend(threads: 2)
    let x = backend.tensor(random(m * k, "a"), [m, k])
    let weight = backend.cast(backend.tensor(random(n * k, "b"), [n, k]), to: .bfloat16)
    let all = backend.product(x, transposed: false, weight, transposed: true, scale: 1, addingTo: nil)
    let some = backend.product(
      x.slice(187..<191), transposed: false, weight, transposed: true, scale: 1, addingTo: nil)
    XCTAssertEqual(backend.read(all.slice(187..<191)), backend.read(some))
  }

  func testGradientThroughAFrozenWeight() throws {
    let (rows, inputs, outputs) = (21, 70, 45)
    for way in ways {
      let backend = try CPUBackend(threads: 2, bf16Products: way)
      for layout in [WeightLayout.outputsFirst, .inputsFirst] {
        let isTransposed = layout == .outputsFirst
        let w = random(inputs * outputs, "w").map(rounded)
        let weight = guarded(w, isTransposed ? [outputs, inputs] : [inputs, outputs], backend)
        let x = backend.tensor(random(rows * inputs, "x"), [rows, inputs])
        let bias = backend.tensor(random(outputs, "bias"), [outputs])
        let context = Context(backend, recording: true)
        context.watch(x)
        let y = context.linear(x, weight, bias: bias, layout: layout)
        let dy = random(rows * outputs, "dy")
        let gradients = context.backward(from: y, seed: backend.tensor(dy, y.shape), watched: [x]) { _, _ in
          XCTFail("a frozen weight has a gradient")
        }
        let dx = backend.read(try XCTUnwrap(gradients[0]))
        let near = dy.map(rounded)
        for i in 0..<rows {
          for j in 0..<inputs {
            let (sum, absolute) = sums(near, w, i, j, n: inputs, k: outputs, transposed: !isTransposed)
            XCTAssertEqual(Double(dx[i * inputs + j]), sum, accuracy: 1e-6 * absolute, "\(way) \(layout)")
          }
        }
      }
    }
  }

  func testLowRankUpdateOfAFrozenWeight() throws {
    let (rows, inputs, outputs, rank) = (40, 96, 80, 4)
    let w = random(inputs * outputs, "w").map(rounded)
    func step(_ weightType: DType, _ way: BF16Products) throws -> [[Float]] {
      let backend = try CPUBackend(threads: 2, bf16Products: way)
      let weight = backend.cast(backend.tensor(w, [outputs, inputs]), to: weightType)
      let x = backend.tensor(random(rows * inputs, "x"), [rows, inputs])
      let (down, up) = (
        backend.tensor(random(rank * inputs, "A"), [rank, inputs]),
        backend.tensor(random(outputs * rank, "B"), [outputs, rank])
      )
      let context = Context(backend, recording: true)
      for tensor in [x, down, up] { context.watch(tensor) }
      let y = context.linear(x, weight, update: LowRank(down: down, up: up, scale: 2))
      let seed = backend.tensor(random(rows * outputs, "dy"), y.shape)
      let gradients = context.backward(from: y, seed: seed, watched: [x, down, up]) { _, _ in }
      return try [backend.read(y)] + gradients.map { backend.read(try XCTUnwrap($0)) }
    }
    let exact = try step(.float32, .widened)
    for way in ways {
      let found = try step(.bfloat16, way)
      for (index, part) in ["y", "dx", "dA", "dB"].enumerated() {
        let error = zip(found[index], exact[index]).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
        let size = exact[index].map { $0 * $0 }.reduce(0, +)
        XCTAssertLessThan((error / size).squareRoot(), index < 2 ? 3e-3 : 1e-6, "\(way) \(part)")
        if index < 2 { XCTAssertGreaterThan(error, 0, "\(way) \(part): nothing was rounded") }
      }
    }
  }

  func testCrossEntropyWithABF16Head() throws {
    let (rows, width, classes) = (19, 50, 333)
    let (hidden, head) = (random(rows * width, "h"), random(classes * width, "head").map(rounded))
    let targets = (0..<rows).map { Int32($0 * 17 % classes) }
    let near = hidden.map(rounded)
    for way in ways {
      let backend = try CPUBackend(threads: 2, bf16Products: way)
      let found = backend.crossEntropy(
        hidden: backend.tensor(hidden, [rows, width]), head: guarded(head, [classes, width], backend),
        targets: backend.tensor(targets), wants: (hidden: true, head: false))
      XCTAssertNil(found.head)
      let (nll, dHidden) = (backend.read(found.nll), backend.read(try XCTUnwrap(found.hidden)))
      for i in 0..<rows {
        let logits = (0..<classes).map { sums(near, head, i, $0, n: classes, k: width, transposed: true).sum }
        let total = logits.reduce(0) { $0 + exp($1) }
        XCTAssertEqual(Double(nll[i]), log(total) - logits[Int(targets[i])], accuracy: 2e-5, "\(way)")
        for j in 0..<width {
          var (sum, absolute) = (0.0, 0.0)
          for c in 0..<classes {
            let slope = exp(logits[c]) / total - (c == Int(targets[i]) ? 1 : 0)
            sum += slope * Double(head[c * width + j])
            absolute += abs(slope * Double(head[c * width + j]))
          }
          XCTAssertEqual(Double(dHidden[i * width + j]), sum, accuracy: 0x1p-9 * absolute + 1e-6, "\(way)")
        }
      }
    }
  }

  func testHalfPrecisionWeightsBecomeBF16() throws {
    let backend = try CPUBackend(threads: 1)
    let values: [Float16] = [1, -2.5, 0.333, 65504, 0x1p-24]
    let owner = NSObject()
    values.withUnsafeBytes { bytes in
      let stored = backend.adopt(bytes, shape: [5], dtype: .float16, owner: owner)
      XCTAssertEqual(backend.read(backend.cast(stored, to: .bfloat16)), values.map { rounded(Float($0)) })
    }
  }

  func testSummarySaysHow() throws {
    for way in ways {
      XCTAssertTrue(try CPUBackend(threads: 1, bf16Products: way).summary.hasSuffix("bf16 \(way.rawValue)"))
    }
  }
}
