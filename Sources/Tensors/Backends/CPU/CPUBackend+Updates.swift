import Foundation
import Kernels

extension CPUBackend {
  public func update(_ weight: Tensor, by gradient: Tensor, _ update: ParameterUpdate, _ step: UpdateStep) {
    precondition(weight.count == gradient.count, "update: \(weight.shape) by \(gradient.shape)")
    let constants = mmd_update(
      number: Int64(step.number), rate: step.rate, decay: step.weightDecay, gradient_scale: step.gradientScale)
    switch update {
    case .adamW(let adam, let first, let second):
      pieces(of: weight, [first, second]) { from, count in
        mmd_adamw(
          weight.floats + from, first.floats + from, second.floats + from, gradient.floats + from, count, constants,
          mmd_adam(adam))
      }
    case .adamW8bit(let adam, let first, let second):
      pieces(of: weight, [first.codes, second.codes]) { from, count in
        mmd_adamw_8bit(
          weight.floats + from, first.codes(from, .signed), second.codes(from, .unsigned), gradient.floats + from,
          count, constants, mmd_adam(adam))
      }
    case .adafactor(let adafactor, let state): factored(weight, gradient, adafactor, state, step)
    case .sgd(let momentum, let isNesterov, let velocity):
      pieces(of: weight, velocity.map { [$0] } ?? []) { from, count in
        mmd_sgd(
          weight.floats + from, velocity.map { $0.floats + from }, gradient.floats + from, count, constants, momentum,
          isNesterov)
      }
    case .lion(let beta1, let beta2, let mean):
      pieces(of: weight, [mean]) { from, count in
        mmd_lion(
          weight.floats + from, mean.floats + from, gradient.floats + from, count, constants, beta1, beta2)
      }
    }
  }

  public func move(_ x: Tensor, towards target: Tensor, share: Float) {
    pieces(of: x, [target]) { from, count in mmd_approach(x.floats + from, target.floats + from, share, count) }
  }

  /// Cuts the elements of a weight, which its state has as many of, into pieces of whole blocks.
  private func pieces(of weight: Tensor, _ state: [Tensor], _ body: (_ from: Int, _ count: Int) -> Void) {
    precondition(
      state.allSatisfy { $0.count == weight.count }, "update: \(weight.shape) with state \(state.map(\.shape))")
    workers.runs(of: weight.count, size: elementsPerPiece) { body($0.lowerBound, $0.count) }
  }
}

extension mmd_adam {
  fileprivate init(_ constants: AdamConstants) {
    self.init(beta1: constants.beta1, beta2: constants.beta2, epsilon: constants.epsilon)
  }
}

extension BlockCodes {
  /// The codes from element `from` on, where a block begins.
  fileprivate func codes(_ from: Int, _ tables: CodeTables) -> mmd_codes {
    mmd_codes(
      codes: codes.bytes.assumingMemoryBound(to: UInt8.self) + from,
      scales: scales.floats + from / BlockCodes.blockSize, map: tables.map)
  }
}

/// The tables by which numbers become codes of a map; they are never changed and never freed.
private struct CodeTables: @unchecked Sendable {
  static let signed = CodeTables(.signed)
  static let unsigned = CodeTables(.unsigned)

  let map: mmd_map

  private init(_ map: DynamicMap) {
    let boundaries = zip(map.values, map.values.dropFirst()).map { ($0 + $1) / 2 }
    let starts = [0] + (0..<Int(mmd_map_slots)).map { Float(bitPattern: UInt32(Int(mmd_map_first) + $0) << 16) }
    let slots = [false, true].flatMap { isNegative in
      zip(starts, starts.dropFirst()).map { nearEnd, farEnd in
        // The slot of numbers below 0 begins behind its far end and ends with its near one.
        let lowest = boundaries.count { isNegative ? $0 <= -farEnd : $0 < nearEnd }
        let within = boundaries.filter { isNegative ? $0 > -farEnd && $0 <= -nearEnd : $0 >= nearEnd && $0 < farEnd }
        precondition(within.count <= 1 && (nearEnd > 0 || within.isEmpty), "a slot of the map has two boundaries")
        let low = within.first.map { ($0.bitPattern & 0xffff) ^ (isNegative ? 0xffff : 0) } ?? 0xffff
        return UInt32(lowest) | low << 8
      }
    }
    self.map = mmd_map(values: CodeTables.kept(map.values), slots: CodeTables.kept(slots))
  }

  private static func kept<Element>(_ array: [Element]) -> UnsafePointer<Element> {
    let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: array.count)
    _ = memory.initialize(from: array)
    guard let first = memory.baseAddress else { preconditionFailure("a table of nothing") }
    return UnsafePointer(first)
  }
}
