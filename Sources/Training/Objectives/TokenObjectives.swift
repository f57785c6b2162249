import RunFile
import Tensors

/// −log p of every supervised token, each times its weight, with label smoothing where asked for.
public struct CrossEntropy: TokenObjective {
  public let name = "cross_entropy"
  public let weight: WeightCourse
  public let smoothing: Double

  public init(weight: WeightCourse = 1, smoothing: Double = 0) {
    self.weight = weight
    self.smoothing = smoothing
  }

  public func add(to terms: inout TokenTerms, weight: Float) {
    terms.crossEntropy = weight
    terms.smoothing = Float(smoothing)
  }

  public func value(_ sums: TokenSums) -> Double { sums.crossEntropy }
}

/// (log Σ exp z)² of every supervised token's logits (Chowdhery et al. 2022, arXiv:2204.02311).
public struct ZLoss: TokenObjective {
  public let name = "z_loss"
  public let weight: WeightCourse

  public init(weight: WeightCourse) { self.weight = weight }

  public func add(to terms: inout TokenTerms, weight: Float) { terms.squaredLogSum = weight }
  public func value(_ sums: TokenSums) -> Double { sums.squaredLogSum }
}

/// T² · KL(teacher ‖ model) of the next token at temperature T (Hinton et al. 2015, arXiv:1503.02531).
public struct Distillation: TokenObjective {
  public let name = "distillation"
  public let weight: WeightCourse
  public let temperature: Double

  public init(weight: WeightCourse, temperature: Double) {
    self.weight = weight
    self.temperature = temperature
  }

  public func add(to terms: inout TokenTerms, weight: Float) {
    terms.distillation = weight
    terms.temperature = Float(temperature)
  }

  public func value(_ sums: TokenSums) -> Double { sums.distillation }
}
