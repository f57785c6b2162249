import SafeTensors
import TestSupport
import XCTest

@testable import Tensors

/// Eight-bit numbers against bitsandbytes, bit for bit.
final class DynamicMapTests: XCTestCase {
  private let golden = Golden.fixtures + "/optimizers/updates.safetensors"

  func testTheMaps() throws {
    let file = try SafeTensorsFile(golden)
    for (name, map) in [("signed", DynamicMap.signed), ("unsigned", .unsigned)] {
      XCTAssertEqual(map.values, try file.floats("map." + name))
      XCTAssertEqual(map.values, map.values.sorted())
    }
  }

  /// An update that forgets all of the moments keeps the gradient and its square.
  private func encode(_ values: [Float], _ backend: any Backend) -> (first: BlockCodes, second: BlockCodes) {
    let codes = {
      BlockCodes(
        codes: backend.zeros([values.count], .uint8), scales: backend.zeros([BlockCodes.blocks(of: values.count)]))
    }
    let (first, second) = (codes(), codes())
    backend.update(
      backend.zeros([values.count]), by: backend.tensor(values, [values.count]),
      .adamW8bit(AdamConstants(beta1: 0, beta2: 0, epsilon: 1), first: first, second: second),
      UpdateStep(number: 1, rate: 0, weightDecay: 0, gradientScale: 1))
    return (first, second)
  }

  private func bytes(_ tensor: Tensor, _ backend: any Backend) -> [UInt8] {
    backend.withBytes(of: tensor) { Array($0) }
  }

  func testCodesAreThoseOfTheReference() throws {
    let file = try SafeTensorsFile(golden)
    let values = (0..<UInt64(1100)).map { place -> Float in
      var x = (place &* 2_654_435_761 &+ 77 &* 40503 &+ 12345) & 0xffff_ffff
      x ^= x >> 15
      x = (x &* 2_246_822_519) & 0xffff_ffff
      x ^= x >> 13
      return Float((Double(x >> 8) - 8_388_608) / 8_388_608 / Double(1 << (place / 7 % 12)))
    }
    let backend = try CPUBackend(threads: 1)
    let found = encode(values, backend)
    for (name, codes) in [("signed", found.first), ("unsigned", found.second)] {
      XCTAssertEqual(backend.read(codes.scales), try file.floats("scales." + name), name)
      XCTAssertEqual(bytes(codes.codes, backend), Array(try file.bytes(of: "codes." + name)), name)
    }
  }

  /// Every boundary and its neighbours, and numbers below the smallest code, against a search of the whole map.
  func testTheNearestCodeOfAnyNumber() throws {
    let backend = try CPUBackend(threads: 1)
    for isSigned in [true, false] {
      let map = isSigned ? DynamicMap.signed.values : DynamicMap.unsigned.values
      let boundaries = zip(map, map.dropFirst()).map { ($0 + $1) / 2 }
      var numbers =
        boundaries.flatMap { [$0.nextDown, $0, $0.nextUp] } + map + [1e-7, 1e-9, 1e-30, .leastNonzeroMagnitude, 0]
      if isSigned { numbers += [-1e-7, -1e-9, -1, -0.0] }
      numbers = numbers.filter { abs($0) <= 1 }
      // The square of a root is not the number again: unsigned codes are checked of what the kernel squares.
      let given = isSigned ? numbers : numbers.map { $0.squareRoot() }
      for start in stride(from: 0, to: given.count, by: 255) {
        let block = Array(given[start..<min(start + 255, given.count)]) + [1]
        let found = encode(block, backend)
        let codes = bytes(isSigned ? found.first.codes : found.second.codes, backend)
        for (number, code) in zip(block, codes) {
          let x = isSigned ? number : number * number
          XCTAssertEqual(Int(code), boundaries.count { $0 < x }, "\(x)")
        }
      }
    }
  }

  func testABlockOfZeros() throws {
    let backend = try CPUBackend(threads: 1)
    let found = encode([Float](repeating: 0, count: 300), backend)
    XCTAssertEqual(backend.read(found.first.scales), [0, 0])
    XCTAssertEqual(Set(bytes(found.first.codes, backend)), [127])
    XCTAssertEqual(Set(bytes(found.second.codes, backend)), [0])
  }
}
