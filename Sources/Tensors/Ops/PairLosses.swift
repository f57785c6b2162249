import Foundation

/// Losses of pairs within a micro-batch, of which there are few: computed on the host in double precision.
///
/// Each gives the sum over pairs [1], and its value.
extension Context {
  /// ‖â − b̂‖² / D of each row, x̂ = x / ‖x‖ where `normalises`, else x: [P, D], [P, D] → [1].
  public func squaredDistance(_ a: Tensor, _ b: Tensor, normalises: Bool) -> (sum: Tensor, value: Double) {
    precondition(a.shape == b.shape && a.shape.count == 2, "squaredDistance: \(a.shape), \(b.shape)")
    let (backend, width) = (backend, a.width)
    let rows = [a, b].map { side in
      let values = backend.read(side).map(Double.init)
      return (0..<side.rows).map { UnitVector(Array(values[$0 * width..<($0 + 1) * width]), normalises: normalises) }
    }
    var value = 0.0
    var slopes: (a: [Float], b: [Float]) = ([], [])
    for (left, right) in zip(rows[0], rows[1]) {
      let difference = zip(left.values, right.values).map { $0 - $1 }
      value += difference.reduce(0) { $0 + $1 * $1 } / Double(width)
      let slope = difference.map { 2 * $0 / Double(width) }
      slopes.a += left.pullback(slope).map(Float.init)
      slopes.b += right.pullback(slope.map { -$0 }).map(Float.init)
    }
    let sum = backend.tensor([Float(value)], [1])
    record("squaredDistance", inputs: [a, b], output: sum) { [shape = a.shape] seed in
      let factor = backend.read(seed)[0]
      return [slopes.a, slopes.b].map { backend.tensor($0.map { $0 * factor }, shape) }
    }
    return (sum, value)
  }

  /// −log σ(Δ) of each group, where Δ is the mean of `worse` minus that of `better` over the rows of the group: the loss
  /// is small where the better is lower. [T], [T] → [1]
  ///
  /// - Parameter weights: of the T rows in these means; empty: all count as 1.
  public func preference(
    better: Tensor, worse: Tensor, groups: [Range<Int>], weights: [Float] = []
  ) -> (sum: Tensor, value: Double) {
    let (backend, count) = (backend, better.count)
    let shares = weights.isEmpty ? [Double](repeating: 1, count: count) : weights.map(Double.init)
    precondition(shares.count == count, "preference: \(shares.count) weights for \(count) rows")
    let (good, bad) = (backend.read(better), backend.read(worse))
    var value = 0.0
    var slopes = [Float](repeating: 0, count: count)
    for group in groups {
      let whole = shares[group].reduce(0, +)
      let mean = { (values: [Float]) in group.reduce(0) { $0 + shares[$1] * Double(values[$1]) } / whole }
      let margin = mean(bad) - mean(good)
      value += softplus(-margin)
      for row in group { slopes[row] += Float(shares[row] * sigmoid(-margin) / whole) }
    }
    let sum = backend.tensor([Float(value)], [1])
    record("preference", inputs: [better, worse], output: sum) { [slopes] seed in
      let factor = backend.read(seed)[0]
      return [factor, -factor].map { factor in backend.tensor(slopes.map { $0 * factor }, [count]) }
    }
    return (sum, value)
  }
}

/// log(1 + exp(x)), exact far out.
public func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

/// 1 / (1 + exp(−x))
public func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

/// A vector of length 1, and how gradients come back through the division by its length.
///
/// A length below 1e-12 counts as 1e-12, as `torch.nn.functional.normalize` has it.
public struct UnitVector {
  public let values: [Double]
  private let length: Double
  private let normalises: Bool

  public init(_ raw: [Double], normalises: Bool = true) {
    self.normalises = normalises
    let length = raw.reduce(0) { $0 + $1 * $1 }.squareRoot()
    self.length = normalises ? max(length, 1e-12) : 1
    values = normalises ? raw.map { $0 / max(length, 1e-12) } : raw
  }

  /// du ↦ (du − u (u · du)) / ‖x‖
  public func pullback(_ slope: [Double]) -> [Double] {
    guard normalises else { return slope }
    let along = zip(values, slope).reduce(0) { $0 + $1.0 * $1.1 }
    return zip(values, slope).map { ($1 - $0 * along) / length }
  }
}
