import SafeTensors
import Tensors
import TestSupport
import XCTest

/// Conversions between types, bit for bit.
final class ConversionTests: XCTestCase {
  private func figures() throws -> SafeTensorsFile {
    let here = #filePath
    return try SafeTensorsFile(
      here.replacingOccurrences(of: "ConversionTests.swift", with: "Fixtures/ops.safetensors"))
  }

  /// A tensor of 16-bit patterns.
  private func halves(_ patterns: [UInt16], _ dtype: DType, _ backend: any Backend) -> Tensor {
    let tensor = backend.empty([patterns.count], dtype)
    patterns.withUnsafeBytes { backend.overwrite(tensor, with: $0) }
    return tensor
  }

  private func patterns(_ tensor: Tensor, _ backend: any Backend) -> [UInt16] {
    backend.withBytes(of: tensor) { bytes in
      (0..<bytes.count / 2).map { bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self) }
    }
  }

  func testF32ToBF16RoundsToTheNearestEvenAsPyTorchDoes() throws {
    let backend = try CPUBackend(threads: 1)
    let values = try figures().integers("bf16.from").map { Float(bitPattern: UInt32(bitPattern: $0)) }
    let wanted: [UInt16] = try figures().numbers("bf16.to")
    let found = patterns(backend.cast(backend.tensor(values, [values.count]), to: .bfloat16), backend)
    XCTAssertEqual(values.count, 30)
    for (value, (found, wanted)) in zip(values, zip(found, wanted)) {
      if value.isNaN {
        XCTAssertTrue(found & 0x7FFF > 0x7F80, "NaN became \(String(found, radix: 16))")
      } else {
        XCTAssertEqual(found, wanted, "\(value)")
      }
    }
  }

  func testEveryBF16NumberToF32AndBack() throws {
    let backend = try CPUBackend(threads: 2)
    let all = (0...UInt16.max).map { $0 }
    let wide = backend.cast(halves(all, .bfloat16, backend), to: .float32)
    XCTAssertTrue(sameBits(backend.read(wide), all.map { Float(bitPattern: UInt32($0) << 16) }))
    let back = patterns(backend.cast(wide, to: .bfloat16), backend)
    for (before, after) in zip(all, back) where before & 0x7FFF <= 0x7F80 { XCTAssertEqual(before, after) }
    for (before, after) in zip(all, back) where before & 0x7FFF > 0x7F80 { XCTAssertEqual(before | 0x40, after) }
  }

  func testF16ToF32AsPyTorchDoesIt() throws {
    let backend = try CPUBackend(threads: 1)
    let half: [UInt16] = try figures().numbers("f16.from")
    let wanted = try figures().integers("f16.to").map { Float(bitPattern: UInt32(bitPattern: $0)) }
    let found = backend.read(halves(half, .float16, backend))
    XCTAssertEqual(half.count, 21)
    for (found, wanted) in zip(found, wanted) {
      XCTAssertTrue(found.bitPattern == wanted.bitPattern || found.isNaN && wanted.isNaN, "\(found), not \(wanted)")
    }
  }

  func testEveryF16NumberToF32() throws {
    let backend = try CPUBackend(threads: 2)
    let all = (0...UInt16.max).map { $0 }
    let found = backend.read(halves(all, .float16, backend))
    for (pattern, found) in zip(all, found) {
      let (sign, exponent, fraction) = (pattern >> 15, Int(pattern >> 10 & 31), Float(pattern & 1023))
      let size: Float =
        switch exponent {
        case 0: fraction * 0x1p-24
        case 31: fraction == 0 ? .infinity : .nan
        default: (1 + fraction / 1024) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
        }
      let wanted = sign == 1 ? -size : size
      XCTAssertTrue(
        found.bitPattern == wanted.bitPattern || found.isNaN && wanted.isNaN, "\(String(pattern, radix: 16)): \(found)")
    }
  }

  func testF64ToF32() throws {
    let backend = try CPUBackend(threads: 1)
    let values: [Double] = [0, -0.0, 1.0 / 3, 1e300, -1e300, 1e-300, 1e-42, .infinity, 16777217]
    let tensor = backend.empty([values.count], .float64)
    values.withUnsafeBytes { backend.overwrite(tensor, with: $0) }
    XCTAssertTrue(sameBits(backend.read(tensor), values.map { Float($0) }))
  }

  func testTransposition() throws {
    let backend = try CPUBackend(threads: 3)
    for (rows, width) in [(1, 1), (5, 3), (16, 16), (100, 7), (3, 300), (1000, 33)] {
      let values = random(rows * width, "x")
      let x = backend.tensor(values, [rows, width])
      let expected = (0..<rows * width).map { values[$0 % rows * width + $0 / rows] }
      XCTAssertEqual(backend.read(backend.transposed(x, as: .float32)), expected)
      let half = backend.transposed(x, as: .bfloat16)
      XCTAssertEqual(half.shape, [width, rows])
      XCTAssertEqual(backend.read(half), expected.map(rounded))
      XCTAssertEqual(backend.read(backend.transposed(half, as: .float32)), values.map(rounded))
    }
  }

  func testKernelsThatWriteBF16RoundWhatTheyWouldWrite() throws {
    let backend = try CPUBackend(threads: 2)
    let (x, up, dy) = (random(700 * 50, "x"), random(700 * 50, "up"), random(700 * 50, "dy"))
    let tensor = { (values: [Float]) in backend.tensor(values, [700, 50]) }
    let weight = backend.tensor(random(50, "w"), [50])
    let norms = [DType.float32, .bfloat16].map { backend.rmsNorm(tensor(x), weight, epsilon: 1e-5, as: $0) }
    XCTAssertEqual(backend.read(norms[1].y), backend.read(norms[0].y).map(rounded))
    XCTAssertEqual(backend.read(norms[1].inverse), backend.read(norms[0].inverse))
    for kind in [Activation.silu, .gelu, .geluTanh] {
      let gated = [DType.float32, .bfloat16].map { backend.gate(kind, tensor(x), tensor(up), as: $0) }
      XCTAssertEqual(backend.read(gated[1]), backend.read(gated[0]).map(rounded))
      let gradients = [DType.float32, .bfloat16].map {
        backend.gateBackward(kind, tensor(x), tensor(up), tensor(dy), as: $0)
      }
      XCTAssertEqual(backend.read(gradients[1].gate), backend.read(gradients[0].gate).map(rounded))
      XCTAssertEqual(backend.read(gradients[1].up), backend.read(gradients[0].up).map(rounded))
    }
    let dropout = try XCTUnwrap(Dropout(rate: 0.3, RandomStream([5])))
    XCTAssertEqual(
      backend.read(backend.dropout(backend.cast(tensor(x), to: .bfloat16), dropout)),
      backend.read(backend.dropout(tensor(x.map(rounded)), dropout)).map(rounded))
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
}
