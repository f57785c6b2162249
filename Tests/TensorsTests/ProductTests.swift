import TestSupport
import Tensors
import XCTest

/// Products against sums in double precision over the same numbers, rounded where they are bf16.
final class ProductTests: XCTestCase {
  private let ways = ProductKernels.tested

  /// What a device makes of a number that it multiplies with a bf16 one.
  private func near(_ x: Float, _ backend: CPUBackend) -> Float { backend.multipliesBFloat16 ? rounded(x) : x }

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

  private enum Start: CaseIterable { case zero, row, rows, target }

  /// One product [m, k] × [k, n] with factors that are columns of wider tensors, into columns of a wider target.
  private func check(
    m: Int, n: Int, k: Int, _ type: DType, transposed: (a: Bool, b: Bool), scale: Float, _ start: Start,
    _ way: ProductKernels
  ) throws {
    let backend = try way.backend(threads: 2)
    let isHalf = type == .bfloat16
    let near = { (x: Float) in isHalf ? rounded(x) : x }
    let (a, b, before) = (random(m * k, "a").map(near), random(n * k, "b").map(near), random(m * n, "before"))
    let first = framed(a, m, k, transposed: transposed.a, type, backend)
    let second = framed(b, k, n, transposed: transposed.b, type, backend)
    let edge = 3
    let target = backend.tensor([Float](repeating: 7, count: m * (n + 2 * edge)), [m, n + 2 * edge])
    let columns = edge..<edge + n
    let own = backend.tensor(before, [m, n])
    if start == .target {
      // target = before, by way of a product with the identity.
      let identity = backend.tensor((0..<n * n).map { $0 % (n + 1) == 0 ? 1 : 0 }, [n, n])
      backend.product(Factor(own), Factor(identity), into: Factor(target, columns: columns))
    }
    let from: ProductStart =
      switch start {
      case .zero: .zero
      case .row: .row(backend.tensor(Array(before.prefix(n)), [n]))
      case .rows: .rows(own)
      case .target: .target
      }
    backend.product(first, second, scale: scale, start: from, into: Factor(target, columns: columns))
    let found = backend.read(target)
    for i in 0..<m {
      for j in 0..<n + 2 * edge where !columns.contains(j) {
        XCTAssertEqual(found[i * (n + 2 * edge) + j], 7, "written beside the target")
      }
      for j in 0..<n {
        let (sum, absolute) = sums(a, b, i, j, n: n, k: k, transposed: false)
        let begin: Double =
          switch start {
          case .zero: 0
          case .row: Double(before[j])
          case .rows, .target: Double(before[i * n + j])
          }
        let (value, expected) = (Double(found[i * (n + 2 * edge) + edge + j]), begin + Double(scale) * sum)
        let tolerance = 2e-6 * (abs(begin) + abs(Double(scale)) * absolute)
        guard abs(value - expected) <= tolerance else {
          return XCTFail(
            "\(way) \(type) [\(m), \(k)] × [\(k), \(n)], transposed \(transposed), \(start): "
              + "\(value) at \(i), \(j) where \(expected) ± \(tolerance) is right")
        }
      }
    }
  }

  /// Values [rows, width] as a factor: columns 2… of a tensor whose other columns, and the rows around, are NaN.
  private func framed(
    _ values: [Float], _ rows: Int, _ width: Int, transposed: Bool, _ type: DType, _ backend: CPUBackend
  ) -> Factor {
    let (down, across) = transposed ? (width, rows) : (rows, width)
    var all = [Float](repeating: .nan, count: (down + 2) * (across + 5))
    for i in 0..<down {
      for j in 0..<across {
        all[(i + 1) * (across + 5) + 2 + j] = transposed ? values[j * width + i] : values[i * width + j]
      }
    }
    let tensor = backend.tensor(all, [down + 2, across + 5]).slice(1..<down + 1)
    return Factor(
      type == .float32 ? tensor : backend.cast(tensor, to: type), columns: 2..<2 + across, transposed: transposed)
  }

  func testValues() throws {
    let shapes = [
      (1, 1, 1), (1, 70, 3), (2, 5, 2), (3, 31, 31), (4, 64, 32), (5, 33, 63), (6, 65, 64), (7, 129, 255),
      (13, 17, 256), (14, 16, 130), (40, 48, 20), (64, 200, 257), (197, 131, 40), (300, 300, 33), (3, 40, 1200),
    ]
    for way in ways {
      for (m, n, k) in shapes {
        for type in [DType.float32, .bfloat16] {
          for transposed in [(a: false, b: true), (a: false, b: false), (a: true, b: false), (a: true, b: true)] {
            let start = Start.allCases[(m + n + (transposed.b ? 1 : 0)) % 4]
            try check(m: m, n: n, k: k, type, transposed: transposed, scale: 1, start, way)
          }
          for start in Start.allCases where m < 50 {
            try check(m: m, n: n, k: k, type, transposed: (false, true), scale: -0.75, start, way)
          }
        }
      }
    }
  }

  func testSumsOfTermsOfBothTypes() throws {
    let (m, n) = (70, 90)
    for way in ways {
      let backend = try way.backend(threads: 2)
      let widths = [40, 16, 33]
      let (a, b) = (widths.map { random(m * $0, "a\($0)") }, widths.map { random(n * $0, "b\($0)") })
      let types: [DType] = [.bfloat16, .float32, .bfloat16]
      let terms = widths.indices.map { index in
        ProductTerm(
          Factor(backend.cast(backend.tensor(a[index], [m, widths[index]]), to: types[index])),
          Factor(backend.tensor(b[index], [n, widths[index]]), transposed: true))
      }
      let bias = random(n, "bias")
      let found = backend.read(backend.product(terms, scale: 0.5, start: .row(backend.tensor(bias, [n]))))
      for (i, j) in [(0, 0), (13, 71), (69, 89), (48, 64)] {
        var (sum, absolute) = (0.0, 0.0)
        for index in widths.indices {
          let isHalf = types[index] == .bfloat16
          let term = sums(
            isHalf ? a[index].map(rounded) : a[index], isHalf ? b[index].map { near($0, backend) } : b[index], i, j,
            n: n, k: widths[index], transposed: true)
          (sum, absolute) = (sum + term.sum, absolute + term.absolute)
        }
        XCTAssertEqual(Double(found[i * n + j]), Double(bias[j]) + 0.5 * sum, accuracy: 1e-6 * absolute, "\(way)")
      }
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
      let backend = try way.backend(threads: 1)
      let one = backend.cast(backend.tensor([1], [1, 1]), to: .bfloat16)
      let y = backend.product(backend.tensor(inputs + [.nan], [10, 1]), one, transposed: true)
      XCTAssertEqual(
        Array(backend.read(y).prefix(9)), backend.multipliesBFloat16 ? expected : Array(inputs.prefix(9)), "\(way)")
      XCTAssertTrue(backend.read(y)[9].isNaN, "\(way)")
    }
  }

  func testRoundedActivationsAreTakenAsTheyAre() throws {
    let (m, n, k) = (9, 20, 31)
    for way in ways {
      let backend = try way.backend(threads: 1)
      let a = random(m * k, "a")
      let weight = backend.cast(backend.tensor(random(n * k, "b"), [n, k]), to: .bfloat16)
      let found = [backend.tensor(a, [m, k]), guarded(a, [m, k], backend)].map {
        backend.read(backend.product($0, weight, transposed: true))
      }
      XCTAssertEqual(found[0] == found[1], backend.multipliesBFloat16, "\(way)")
    }
  }

  func testBitsDoNotDependOnThreads() throws {
    for way in ways {
      for (m, n, k) in [(528, 192, 96), (64, 1000, 300), (7, 64, 700)] {
        for (transposed, type) in [(true, DType.bfloat16), (false, .bfloat16), (true, .float32), (false, .float32)] {
          let found = try [1, 2, 3, 8].map { threads in
            let backend = try way.backend(threads: threads)
            let weight = backend.tensor(random(n * k, "b"), transposed ? [n, k] : [k, n])
            return backend.read(
              backend.product(
                backend.tensor(random(m * k, "a"), [m, k]), backend.cast(weight, to: type), transposed: transposed,
                start: .rows(backend.tensor(random(m * n, "y"), [m, n]))))
          }
          for other in found.dropFirst() { XCTAssertEqual(found[0], other, "\(way) \(type) \(m) \(n) \(k)") }
        }
      }
    }
  }

  /// What lets features of a picture be kept: they do not depend on the pictures beside it.
  func testARowDoesNotDependOnTheOthers() throws {
    let (m, n, k) = (250, 150, 300)
    for way in ways where way != .openBLAS {
      for type in [DType.float32, .bfloat16] {
        let backend = try way.backend(threads: 2)
        let x = backend.tensor(random(m * k, "a"), [m, k])
        let weight = backend.cast(backend.tensor(random(n * k, "b"), [n, k]), to: type)
        let all = backend.product(x, weight, transposed: true)
        let some = backend.product(x.slice(187..<191), weight, transposed: true)
        XCTAssertEqual(backend.read(all.slice(187..<191)), backend.read(some), "\(way) \(type)")
      }
    }
  }

  /// Nodes of either kind find the same.
  func testBitsDoNotDependOnTheWidthOfRegisters() throws {
    let both = [ProductKernels.avx512, .avx2]
    guard both.allSatisfy(ways.contains) else { throw XCTSkip("this processor has no AVX-512") }
    for (m, n, k) in [(1, 1, 1), (70, 129, 255), (300, 200, 700), (19, 16, 1536), (528, 130, 576)] {
      for type in [DType.float32, .bfloat16] {
        for transposed in [false, true] {
          let found = try both.map { way in
            let backend = try way.backend(threads: 2)
            let weight = backend.tensor(random(n * k, "b"), transposed ? [n, k] : [k, n])
            let small = ProductTerm(
              Factor(backend.tensor(random(m * 7, "low"), [m, 7])), Factor(backend.tensor(random(7 * n, "up"), [7, n])))
            let large = ProductTerm(
              Factor(backend.tensor(random(m * k, "a"), [m, k])),
              Factor(backend.cast(weight, to: type), transposed: transposed))
            return backend.read(
              backend.product(
                [large, small], scale: 0.3, start: .rows(backend.tensor(random(m * n, "y"), [m, n]))))
          }
          XCTAssertEqual(found[0], found[1], "\(type) \(m) \(n) \(k) \(transposed)")
        }
      }
    }
  }

  /// What the manual says of tiles, and what the processor does.
  func testTilesAreThoseOfSoftware() throws {
    guard ProductKernels.available.contains(.amx) else {
      throw XCTSkip("this processor has no AMX")
    }
    for (m, n, k) in [(1, 1, 1), (15, 17, 31), (16, 64, 32), (33, 130, 255), (100, 48, 257), (300, 200, 700)] {
      for transposed in [false, true] {
        for scale in [Float(1), -0.75] {
          let both = try [ProductKernels.amx.backend(threads: 2), ProductKernels.softwareTiles(threads: 2)]
          let found = both.map { backend in
            let weight = backend.tensor(random(n * k, "b"), transposed ? [n, k] : [k, n])
            let term = ProductTerm(
              Factor(backend.tensor(random(m * k, "a"), [m, k])),
              Factor(backend.cast(weight, to: .bfloat16), transposed: transposed))
            let start = backend.tensor(random(m * n, "y"), [m, n])
            return backend.read(backend.product([term], scale: scale, start: .rows(start)))
          }
          XCTAssertEqual(found[0], found[1], "\(m) \(n) \(k) \(transposed) \(scale)")
        }
      }
    }
  }

  func testGradientThroughAFrozenWeight() throws {
    let (rows, inputs, outputs) = (21, 70, 45)
    for way in ways {
      let backend = try way.backend(threads: 2)
      for layout in [WeightLayout.outputsFirst, .inputsFirst] {
        let isTransposed = layout == .outputsFirst
        let w = random(inputs * outputs, "w").map(rounded)
        let weight = guarded(w, isTransposed ? [outputs, inputs] : [inputs, outputs], backend)
        let x = backend.tensor(random(rows * inputs, "x"), [rows, inputs])
        let bias = backend.tensor(random(outputs, "bias"), [outputs])
        let context = Context(backend, recording: true)
        context.watch(x)
        let y = context.linear(x, Projection(weight, bias: bias, layout: layout))
        let dy = random(rows * outputs, "dy")
        let gradients = context.backward(from: y, seed: backend.tensor(dy, y.shape), watched: [x]) { _, _ in
          XCTFail("a frozen weight has a gradient")
        }
        let dx = backend.read(try XCTUnwrap(gradients[0]))
        let near = dy.map { self.near($0, backend) }
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
    func step(_ weightType: DType, _ way: ProductKernels) throws -> [[Float]] {
      let backend = try way.backend(threads: 2)
      let weight = backend.cast(backend.tensor(w, [outputs, inputs]), to: weightType)
      let x = backend.tensor(random(rows * inputs, "x"), [rows, inputs])
      let (down, up) = (
        backend.tensor(random(rank * inputs, "A"), [rank, inputs]),
        backend.tensor(random(outputs * rank, "B"), [outputs, rank])
      )
      let context = Context(backend, recording: true)
      for tensor in [x, down, up] { context.watch(tensor) }
      let y = context.linear(x, Projection(weight, update: LowRank(down: down, up: up, scale: 2)))
      let seed = backend.tensor(random(rows * outputs, "dy"), y.shape)
      let gradients = context.backward(from: y, seed: seed, watched: [x, down, up]) { _, _ in }
      return try [backend.read(y)] + gradients.map { backend.read(try XCTUnwrap($0)) }
    }
    let exact = try step(.float32, .openBLAS)
    for way in ways {
      let found = try step(.bfloat16, way)
      for (index, part) in ["y", "dx", "dA", "dB"].enumerated() {
        let error = zip(found[index], exact[index]).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
        let size = exact[index].map { $0 * $0 }.reduce(0, +)
        XCTAssertLessThan((error / size).squareRoot(), 4e-3, "\(way) \(part)")
        XCTAssertEqual((error / size).squareRoot() > 1e-6, way.multipliesBFloat16, "\(way) \(part): what was rounded")
      }
    }
  }

  func testCrossEntropyWithABF16Head() throws {
    let (rows, width, classes) = (19, 50, 333)
    let (hidden, head) = (random(rows * width, "h"), random(classes * width, "head").map(rounded))
    let targets = (0..<rows).map { Int32($0 * 17 % classes) }
    for way in ways {
      let backend = try way.backend(threads: 2)
      let near = hidden.map { self.near($0, backend) }
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
}
