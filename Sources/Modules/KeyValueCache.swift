import Tensors

/// The keys and values of the tokens that one sequence has seen so far, layer by layer; for generation only.
public final class KeyValueCache {
  private struct Layer {
    var keys: Tensor
    var values: Tensor
    var count = 0
  }
  private var layers: [Int: Layer] = [:]

  public init() {}

  /// How many tokens are held.
  public var count: Int { count(layer: 0) }
  func count(layer: Int) -> Int { layers[layer]?.count ?? 0 }

  /// Adds the keys and values of new tokens, [T, D], and gives those of all tokens, oldest first.
  public func append(
    layer: Int, keys: Tensor, values: Tensor, _ backend: any Backend
  ) -> (keys: Tensor, values: Tensor) {
    var held =
      layers[layer]
      ?? Layer(keys: backend.empty([0, keys.width], .float32), values: backend.empty([0, keys.width], .float32))
    let range = held.count..<held.count + keys.rows
    if held.keys.rows < range.upperBound {
      let capacity = max(range.upperBound * 3 / 2, 64)
      held.keys = grown(held.keys.slice(0..<held.count), to: capacity, backend)
      held.values = grown(held.values.slice(0..<held.count), to: capacity, backend)
    }
    copy(keys, to: held.keys.slice(range), backend)
    copy(values, to: held.values.slice(range), backend)
    held.count = range.upperBound
    layers[layer] = held
    return (held.keys.slice(0..<held.count), held.values.slice(0..<held.count))
  }

  private func grown(_ rows: Tensor, to capacity: Int, _ backend: any Backend) -> Tensor {
    let larger = backend.empty([capacity, rows.width], .float32)
    copy(rows, to: larger.slice(0..<rows.shape[0]), backend)
    return larger
  }

  private func copy(_ source: Tensor, to target: Tensor, _ backend: any Backend) {
    backend.withBytes(of: source) { backend.overwrite(target, with: $0) }
  }
}
