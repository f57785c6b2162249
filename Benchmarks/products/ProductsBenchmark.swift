import Foundation
import Tensors

/// Measures products of activations and frozen weights: f32, bf16 by the processor's instruction, bf16 widened.
///
/// Rates are GFLOP per second of processor time, so that they hold for one thread on a busy machine too; each is
/// the best of several runs, with the rounding of activations and the spreading over threads counted in.
///
///     swift run -c release products-bench [threads]
@main
struct ProductsBenchmark {
  /// Rows, inputs and outputs of the linear layers that training spends its time in.
  private static let layers: [(rows: Int, inputs: Int, outputs: Int)] = [
    (528, 576, 1536), (528, 1536, 576), (528, 576, 576), (528, 576, 192), (640, 896, 4864), (640, 4864, 896),
    (64, 576, 49280),
  ]

  static func main() throws {
    let threads = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1
    let exact = try CPUBackend(threads: threads)
    let ways = try BF16Products.allCases.filter { $0 == .widened || BF16Products.best == .native }.map {
      ($0.rawValue, try CPUBackend(threads: threads, bf16Products: $0))
    }
    print("\(exact.summary); load \(loadAverage())")
    print(row("rows × inputs → outputs", ["", "f32"] + ways.map { "bf16 " + $0.0 }))
    for layer in layers {
      let (rows, inputs, outputs) = layer
      for isForward in [true, false] {
        let shape = isForward ? [rows, inputs] : [rows, outputs]
        let rates =
          [rate(exact, .float32, shape, [outputs, inputs], isForward)]
          + ways.map { rate($0.1, .bfloat16, shape, [outputs, inputs], isForward) }
        print(
          row(
            "\(rows) × \(inputs) → \(outputs)",
            [isForward ? "forward" : "backward"] + rates.map { String(format: "%.0f", $0) }))
      }
    }
    print("load \(loadAverage())")
  }

  /// GFLOP per second of processor time for x Wᵀ (forward) or dy W (backward to the inputs).
  private static func rate(
    _ backend: CPUBackend, _ type: DType, _ shape: [Int], _ weightShape: [Int], _ isForward: Bool
  ) -> Double {
    let x = noise(shape, "x", backend)
    let weight = backend.cast(noise(weightShape, "w", backend), to: type)
    let flops = 2 * Double(shape[0]) * Double(weight.count)
    let repeats = max(2, Int(5e9 / flops))
    var best = Double.infinity
    for _ in 0..<8 {
      let start = clock()
      for _ in 0..<repeats {
        _ = backend.product(x, transposed: false, weight, transposed: isForward, scale: 1, addingTo: nil)
      }
      best = min(best, Double(clock() - start) / Double(CLOCKS_PER_SEC) / Double(repeats))
    }
    return flops / best / 1e9
  }

  private static func noise(_ shape: [Int], _ name: String, _ backend: CPUBackend) -> Tensor {
    let stream = RandomStream([1]).named(name)
    return backend.tensor((0..<shape.reduce(1, *)).map { Float(stream.uniform(at: $0) * 2 - 1) }, shape)
  }

  private static func row(_ name: String, _ cells: [String]) -> String {
    let padded = cells.map { String(repeating: " ", count: max(1, 20 - $0.count)) + $0 }
    return name + String(repeating: " ", count: max(0, 24 - name.count)) + padded.joined()
  }

  private static func loadAverage() -> String {
    var loads = [0.0, 0, 0]
    getloadavg(&loads, 3)
    return loads.map { String(format: "%.1f", $0) }.joined(separator: " ")
  }
}
