import Foundation
import Tensors

/// Measures products of activations and frozen weights, f32 and bf16, by all kernels that this processor can run.
///
/// Rates are GFLOP per second of processor time, so that they hold for one thread on a busy machine too; each is
/// the best of several runs, with the rounding of activations and the spreading over threads counted in. `cold` takes
/// other weights, activations and results for every product, as a step does: they come from memory, not from a cache.
///
///     swift run -c release products-bench [threads] [cold]
@main
struct ProductsBenchmark {
  /// Rows, inputs and outputs of the linear layers that training spends its time in.
  private static let layers: [(rows: Int, inputs: Int, outputs: Int)] = [
    (528, 576, 1536), (528, 1536, 576), (528, 576, 576), (528, 576, 192), (640, 896, 4864), (640, 4864, 896),
    (64, 576, 49280), (528, 576, 16), (528, 1536, 16),
  ]

  /// Bytes that no processor's last cache holds.
  private static let beyondCaches = 256 << 20

  static func main() throws {
    let threads = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1
    let isCold = CommandLine.arguments.contains("cold")
    let ways = try ProductKernels.available.map { ($0, try CPUBackend(threads: threads, products: $0)) }
    for (way, backend) in ways { print("\(way): \(backend.summary)") }
    print("load \(loadAverage())")
    print(row("rows × inputs → outputs", [""] + ways.flatMap { ["\($0.0) f32", "\($0.0) bf16"] }))
    for layer in layers {
      let (rows, inputs, outputs) = layer
      for isForward in [true, false] {
        let shape = isForward ? [rows, inputs] : [rows, outputs]
        let rates = ways.flatMap { way in
          [DType.float32, .bfloat16].map { rate(way.1, $0, shape, [outputs, inputs], isForward, isCold) }
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
    _ backend: CPUBackend, _ type: DType, _ shape: [Int], _ weightShape: [Int], _ isForward: Bool, _ isCold: Bool
  ) -> Double {
    let bytes = 4 * shape[0] * (weightShape[0] + weightShape[1]) + type.size * weightShape[0] * weightShape[1]
    let copies = isCold ? beyondCaches / bytes + 1 : 1
    let x = noise(shape, "x", backend)
    let weight = backend.cast(noise(weightShape, "w", backend), to: type)
    let operands = (0..<copies).map { _ in (x: backend.scale(x, by: 1), weight: copy(of: weight, backend)) }
    let results = (0..<copies).map { _ in
      backend.empty([shape[0], isForward ? weightShape[0] : weightShape[1]], .float32)
    }
    let flops = 2 * Double(shape[0]) * Double(weight.count)
    let repeats = max(2, copies, Int(5e9 / flops))
    var best = Double.infinity
    for _ in 0..<8 {
      let start = clock()
      for number in 0..<repeats {
        let (x, weight) = operands[number % copies]
        backend.product(Factor(x), Factor(weight, transposed: isForward), into: Factor(results[number % copies]))
      }
      best = min(best, Double(clock() - start) / Double(CLOCKS_PER_SEC) / Double(repeats))
    }
    return flops / best / 1e9
  }

  private static func copy(of tensor: Tensor, _ backend: CPUBackend) -> Tensor {
    let own = backend.empty(tensor.shape, tensor.dtype)
    backend.withBytes(of: tensor) { backend.overwrite(own, with: $0) }
    return own
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
