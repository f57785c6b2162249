import Foundation
import Tensors

/// Measures products of activations and frozen weights, f32 and bf16, by all kernels that this processor can run.
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
    let ways = try ProductKernels.available.map { ($0, try CPUBackend(threads: threads, products: $0)) }
    for (way, backend) in ways { print("\(way): \(backend.summary)") }
    print("load \(loadAverage())")
    print(row("rows × inputs → outputs", [""] + ways.flatMap { ["\($0.0) f32", "\($0.0) bf16"] }))
    for layer in layers {
      let (rows, inputs, outputs) = layer
      for isForward in [true, false] {
        let shape = isForward ? [rows, inputs] : [rows, outputs]
        let rates = ways.flatMap { way in
          [DType.float32, .bfloat16].map { rate(way.1, $0, shape, [outputs, inputs], isForward) }
        }
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
        _ = backend.product(x, weight, transposed: isForward)
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
