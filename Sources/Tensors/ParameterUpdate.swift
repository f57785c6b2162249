/// What every rule of an update takes.
public struct UpdateStep: Sendable {
  /// 1 for the parameter's first update.
  public var number: Int
  public var rate: Double
  public var weightDecay: Double
  /// What the gradient is multiplied with first: normalisation and clipping.
  public var gradientScale: Float

  public init(number: Int, rate: Double, weightDecay: Double, gradientScale: Float) {
    self.number = number
    self.rate = rate
    self.weightDecay = weightDecay
    self.gradientScale = gradientScale
  }
}

/// The updates that a device can do, each with its constants and the state of the parameter, which it changes in place.
///
/// Shapes are those of the parameter where nothing else is said; everything is F32 but codes.
public enum ParameterUpdate {
  /// Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
  case adamW(AdamConstants, first: Tensor, second: Tensor)
  /// The same with moments in 8 bits (Dettmers et al. 2022, arXiv:2110.02861), of both signs and of none.
  case adamW8bit(AdamConstants, first: BlockCodes, second: BlockCodes)
  /// Second moments as means over rows and columns (Shazeer & Stern 2018, arXiv:1804.04235).
  case adafactor(AdafactorConstants, AdafactorState)
  /// Gradient descent, with a velocity where there is momentum (Sutskever et al. 2013).
  case sgd(momentum: Double, isNesterov: Bool, velocity: Tensor?)
  /// Steps of equal size by the sign of a running mean (Chen et al. 2023, arXiv:2302.06675).
  case lion(beta1: Double, beta2: Double, mean: Tensor)
}

public struct AdamConstants: Equatable, Sendable {
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double

  public init(beta1: Double, beta2: Double, epsilon: Double) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
  }
}

/// Numbers as codes of a ``DynamicMap``, in blocks that share a scale.
public struct BlockCodes {
  /// How many elements have one scale, in row-major order; the last block may be shorter.
  public static let blockSize = 256

  /// U8
  public let codes: Tensor
  /// [blocks]
  public let scales: Tensor

  public init(codes: Tensor, scales: Tensor) {
    precondition(
      codes.dtype == .uint8 && scales.count == BlockCodes.blocks(of: codes.count), "codes: \(codes) with \(scales)")
    self.codes = codes
    self.scales = scales
  }

  /// How many blocks `count` elements make.
  public static func blocks(of count: Int) -> Int { (count + blockSize - 1) / blockSize }
}

public struct AdafactorConstants: Equatable, Sendable {
  /// Added to the squares of gradients.
  public var epsilon: Double
  /// What of the mean squares is kept in this update.
  public var keep: Double
  /// Where the root mean square of an update is above it, the update is shortened to it.
  public var clipThreshold: Double
  /// Multiplies the rate by the weight's root mean square, or by this where that is smaller; nil: not.
  public var smallestScale: Double?
  /// What of the mean update is kept, where there is one.
  public var momentum: Double

  public init(epsilon: Double, keep: Double, clipThreshold: Double, smallestScale: Double?, momentum: Double) {
    self.epsilon = epsilon
    self.keep = keep
    self.clipThreshold = clipThreshold
    self.smallestScale = smallestScale
    self.momentum = momentum
  }
}

/// What Adafactor keeps of a parameter [N…, R, C]; a vector is one row, whose means over columns nobody needs.
public struct AdafactorState {
  /// Mean squares of rows, [N…, R]; nil for a vector.
  public let rows: Tensor?
  /// Mean squares of columns, [N…, C].
  public let columns: Tensor
  /// The running mean of updates, where there is one.
  public let mean: Tensor?

  public init(rows: Tensor?, columns: Tensor, mean: Tensor?) {
    self.rows = rows
    self.columns = columns
    self.mean = mean
  }
}
