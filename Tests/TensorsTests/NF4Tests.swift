import Ground
import SafeTensors
import TestSupport
import Tensors
import XCTest

/// 4-bit codes against those of bitsandbytes, number by number, and products of them against products of their values.
final class NF4Tests: XCTestCase {
  private let golden = Result { try SafeTensorsFile(Golden.fixtures + "/nf4/cases.safetensors") }
  private let cases = ["plain", "odd", "few", "bfloat16", "float16", "ties", "zeros", "zero", "wide", "small"]

  /// A tensor of the golden file, where it lies.
  private func stored(_ name: String, _ backend: any Backend) throws -> Tensor {
    let file = try golden.get()
    let entry = try XCTUnwrap(file.entries[name], name)
    return backend.adopt(try file.bytes(of: name), shape: entry.shape, dtype: entry.dtype, owner: file)
  }

  private func bytes(_ tensor: Tensor, _ backend: any Backend) -> [UInt8] {
    backend.withBytes(of: tensor) { Array($0) }
  }

  private func offset(_ name: String) throws -> Float {
    let file = try golden.get()
    let state = try JSON(parsing: file.bytes(of: "\(name).double.weight.quant_state.bitsandbytes__nf4"), at: name)
    return Float(try XCTUnwrap(state["nested_offset"]?.double))
  }

  /// The codes of bitsandbytes.
  private func reference(_ name: String, isDouble: Bool, as dtype: DType, _ backend: any Backend) throws -> Tensor {
    let prefix = "\(name).\(isDouble ? "double" : "single").weight"
    let codes = try stored(prefix, backend)
    let shape = try stored(name + ".weight", backend).shape
    let absmax = try stored(prefix + ".absmax", backend)
    let scales: NF4.Scales =
      isDouble
      ? .coded(
        codes: absmax, magnitudes: try stored(prefix + ".nested_absmax", backend),
        map: try stored(prefix + ".nested_quant_map", backend), offset: try offset(name))
      : .plain(absmax)
    return Tensor(codes: codes.reshaped([codes.count]), scales: scales, shape: shape, dtype: dtype)
  }

  func testTheConstantsAreThoseOfBitsandbytes() throws {
    let backend = try CPUBackend(threads: 1)
    XCTAssertEqual(backend.read(try stored("plain.double.weight.quant_map", backend)), NF4.values)
    XCTAssertEqual(backend.read(try stored("plain.double.weight.nested_quant_map", backend)), NF4.scaleMap)
    XCTAssertEqual(NF4.scaleMap, NF4.scaleMap.sorted())
  }

  func testCodesAndMagnitudesAreThoseOfBitsandbytes() throws {
    for threads in [1, 3] {
      let backend = try CPUBackend(threads: threads)
      for name in cases {
        let weight = try stored(name + ".weight", backend)
        let (codes, magnitudes) = backend.quantised(weight)
        for kind in ["double", "single"] {
          XCTAssertEqual(bytes(codes, backend), bytes(try stored("\(name).\(kind).weight", backend), backend), name)
        }
        XCTAssertEqual(
          bytes(magnitudes, backend), bytes(try stored(name + ".single.weight.absmax", backend), backend), name)
        guard case .coded(let own, let largest, _, let mean) = backend.coded(magnitudes) else { return XCTFail(name) }
        let state = name + ".double.weight."
        XCTAssertEqual(mean.bitPattern, try offset(name).bitPattern, name)
        XCTAssertEqual(bytes(own, backend), bytes(try stored(state + "absmax", backend), backend), name)
        XCTAssertEqual(bytes(largest, backend), bytes(try stored(state + "nested_absmax", backend), backend), name)
      }
    }
  }

  func testValuesAreThoseOfBitsandbytes() throws {
    var compared = 0
    for threads in [1, 3] {
      let backend = try CPUBackend(threads: threads)
      for name in cases {
        for isDouble in [true, false] {
          for (dtype, kept) in [(DType.float32, "float32"), (.bfloat16, "bfloat16")] {
            let wanted = "\(name).\(isDouble ? "double" : "single").\(kept)"
            guard try golden.get().entries[wanted] != nil else { continue }
            let found = backend.dequantised(
              try reference(name, isDouble: isDouble, as: .float32, backend), as: dtype)
            // The processor's instruction, which bitsandbytes uses where there is one, makes zero of bf16 below 2⁻¹²⁶.
            let isFlushed = name == "small" && dtype == .bfloat16
            func numbers(_ x: Tensor) -> [UInt32] {
              backend.read(x).map { isFlushed && !$0.isNormal ? 0 : $0.bitPattern }
            }
            XCTAssertTrue(numbers(found) == numbers(try stored(wanted, backend)), wanted)
            compared += 1
          }
        }
      }
    }
    XCTAssertEqual(compared, 2 * (4 * cases.count - 3), "the largest case has the one form alone")
  }

  func testAMatrixTakesFourPointOneTwoSevenBits() throws {
    let backend = try CPUBackend(threads: 1)
    let count = 1024 * 1024
    let (codes, magnitudes) = backend.quantised(backend.zeros([1024, 1024]))
    guard case .coded(let own, let largest, let map, _) = backend.coded(magnitudes) else { return XCTFail() }
    let bits = 8 * (codes.byteCount + own.byteCount + largest.byteCount)
    XCTAssertEqual(Double(bits) / Double(count), 4.127, accuracy: 5e-4)
    XCTAssertEqual(map.byteCount, 1024, "once a matrix")
    let matrix = Tensor(
      codes: codes, scales: .coded(codes: own, magnitudes: largest, map: map, offset: 0), shape: [1024, 1024],
      dtype: .bfloat16)
    XCTAssertEqual(matrix.byteCount, count / 2)
  }

  func testNumbersThatAreNotFiniteShowInTheMagnitude() throws {
    let backend = try CPUBackend(threads: 2)
    for bad in [Float.nan, -.nan, .infinity, -.infinity] {
      for place in [0, 63, 64, 130] {
        var values = [Float](repeating: 1, count: 131)
        values[place] = bad
        let found = backend.read(backend.quantised(backend.tensor(values, [131])).magnitudes)
        for block in 0..<3 { XCTAssertEqual(found[block].isFinite, block != place / 64, "\(bad) at \(place)") }
      }
    }
  }

  // MARK: Products

  private func random(_ shape: [Int], _ name: String, _ backend: any Backend) -> Tensor {
    let stream = RandomStream([3]).named(name)
    return backend.tensor((0..<shape.reduce(1, *)).map { Float(stream.uniform(at: $0) * 2 - 1) }, shape)
  }

  private func quantised(_ x: Tensor, as dtype: DType, coded: Bool, _ backend: any Backend) -> Tensor {
    let (codes, magnitudes) = backend.quantised(x)
    return Tensor(
      codes: codes, scales: coded ? backend.coded(magnitudes) : .plain(magnitudes), shape: x.shape, dtype: dtype)
  }

  /// x · Wᵀ and dy · W of W [outputs, inputs], also where rows begin within a block or a byte.
  func testProductsAreThoseOfTheValues() throws {
    let shapes = [
      (1, 1, 1), (1, 16, 64), (3, 5, 13), (7, 48, 48), (13, 33, 40), (50, 65, 127), (70, 130, 192), (300, 129, 320),
      (5, 300, 600),
    ]
    for way in ProductKernels.tested {
      for threads in [1, 2] {
        let backend = try way.backend(threads: threads)
        for (rows, outputs, inputs) in shapes {
          for dtype in [DType.float32, .bfloat16] {
            let place = "\(way) \(rows) × \(outputs) × \(inputs) \(dtype)"
            let matrix = random([outputs, inputs], "w", backend)
            let weight = quantised(matrix, as: dtype, coded: inputs != 192, backend)
            let plain = backend.dequantised(weight, as: dtype)
            XCTAssertEqual(plain.dtype, dtype)
            let (x, dy) = (random([rows, inputs], "x", backend), random([rows, outputs], "dy", backend))
            let start = random([rows, outputs], "start", backend)
            func both(_ w: Tensor) -> [[Float]] {
              let forward = backend.product(
                [
                  ProductTerm(Factor(backend.cast(x, to: dtype)), Factor(w, transposed: true)),
                  ProductTerm(Factor(dy), Factor(random([outputs, outputs], "other", backend))),
                ], scale: 0.5, start: .rows(start))
              return [backend.read(forward), backend.read(backend.product(Factor(dy), Factor(w)))]
            }
            let (found, wanted) = (both(weight), both(plain))
            guard way == .openBLAS else {
              XCTAssertTrue(zip(found, wanted).allSatisfy { sameBits($0, $1) }, place)
              continue
            }
            for (a, b) in zip(found, wanted) { XCTAssertLessThan(relativeDistance(a, b), 1e-6, place) }
          }
        }
      }
    }
  }

  func testSomeColumnsOfAMatrix() throws {
    let backend = try CPUBackend(threads: 2)
    let (matrix, x) = (random([40, 100], "w", backend), random([9, 31], "x", backend))
    let weight = quantised(matrix, as: .float32, coded: true, backend)
    let plain = backend.dequantised(weight, as: .float32)
    let found = backend.product(Factor(x), Factor(weight, columns: 17..<48, transposed: true))
    let wanted = backend.product(Factor(x), Factor(plain, columns: 17..<48, transposed: true))
    XCTAssertLessThan(relativeDistance(backend.read(found), backend.read(wanted)), 1e-6)
  }

  /// The gradient of x, and those of a low-rank update, beside codes are those beside their values.
  func testGradientsPassThroughCodes() throws {
    let backend = try CPUBackend(threads: 2)
    for dtype in [DType.float32, .bfloat16] {
      let matrix = random([40, 72], "w", backend)
      let weight = quantised(matrix, as: dtype, coded: true, backend)
      func gradients(_ w: Tensor) -> [[Float]] {
        let context = Context(backend, recording: true)
        let (x, down, up) = (
          random([11, 72], "x", backend), random([4, 72], "a", backend), random([40, 4], "b", backend)
        )
        let inputs = [x, down, up]
        for input in inputs { context.watch(input) }
        let y = context.linear(x, Projection(w, update: LowRank(down: down, up: up, scale: 2)))
        let found = context.backward(from: y, seed: random([11, 40], "dy", backend), watched: inputs) { _, _ in }
        return [backend.read(y)] + found.map { $0.map(backend.read) ?? [] }
      }
      let (found, wanted) = (gradients(weight), gradients(backend.dequantised(weight, as: dtype)))
      XCTAssertTrue(wanted.allSatisfy { !$0.isEmpty })
      for (a, b) in zip(found, wanted) { XCTAssertLessThan(relativeDistance(a, b), 1e-6) }
    }
  }
}
