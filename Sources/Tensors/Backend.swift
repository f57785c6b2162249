/// A device: the primitives that everything above is made of.
///
/// Inputs and outputs are tensors in the device's memory; nothing above this line may assume that the host can
/// read them. Shapes: `T` rows, `D` width. Wrong shapes trap. A new device is one new folder in `Backends/`.
public protocol Backend: AnyObject, Sendable {
  /// What computes, for logs: "CPU, 2 threads, OpenBLAS SkylakeX, bf16 AVX512-BF16".
  var summary: String { get }
  /// What decides the bits of its results beside the program: the kind of processor and the kernels in use.
  var arithmetic: String { get }
  /// Whether a row of a product depends on that row alone, and not on how many others there are.
  var computesRowsApart: Bool { get }
  /// Whether it multiplies bf16 numbers by each other; else what a bf16 weight is multiplied with is best left in f32.
  var multipliesBFloat16: Bool { get }
  /// The most memory that tensors ever took, in bytes.
  var peakMemory: Int { get }

  // Memory
  func empty(_ shape: [Int], _ dtype: DType) -> Tensor
  func zeros(_ shape: [Int]) -> Tensor
  func tensor(_ values: [Float], _ shape: [Int]) -> Tensor
  func tensor(_ values: [Int32]) -> Tensor
  func read(_ tensor: Tensor) -> [Float]
  /// A tensor over host memory, without a copy where the device can use it there; `owner` keeps the memory alive.
  func adopt(_ bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, owner: AnyObject) -> Tensor
  func cast(_ x: Tensor, to dtype: DType) -> Tensor
  /// Hands the bytes of a tensor to `body`, on the host.
  func withBytes<R>(of tensor: Tensor, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R
  /// Overwrites a tensor that nothing else is reading: state that is kept for a whole run.
  func overwrite(_ tensor: Tensor, with bytes: UnsafeRawBufferPointer)

  // 4-bit codes
  /// NF4 codes [⌈n/2⌉], U8, and magnitudes [⌈n/64⌉], F32, of n elements: all of a matrix, or a run of whole blocks of 64
  /// from its beginning on. The magnitude of a block is not finite where one of its elements is not.
  func quantised(_ x: Tensor) -> (codes: Tensor, magnitudes: Tensor)
  /// Magnitudes as 8-bit codes of their distance from their mean.
  func coded(_ magnitudes: Tensor) -> NF4.Scales
  /// The values of NF4 codes, each rounded once to F32 or BF16.
  func dequantised(_ x: Tensor, as dtype: DType) -> Tensor

  /// target = Σ a · b · scale + start, f32. Where a factor of a term is bf16 the other is rounded to it, unless `a` is
  /// transposed or the device does not multiply bf16 numbers; sums are f32. A second factor of NF4 codes is decoded tile by
  /// tile, never as a whole.
  func product(_ terms: [ProductTerm], scale: Float, start: ProductStart, into target: Factor)
  /// [N₁, D], [N₂, D], … → [ΣN, D]
  func joinRows(_ parts: [Tensor]) -> Tensor

  // Element by element
  func add(_ a: Tensor, _ b: Tensor) -> Tensor
  func scale(_ x: Tensor, by factor: Float) -> Tensor
  /// Σ over rows: [T, D] → [D]
  func columnSum(_ x: Tensor) -> Tensor
  func activate(_ kind: Activation, _ x: Tensor) -> Tensor
  func activateBackward(_ kind: Activation, _ x: Tensor, _ dy: Tensor) -> Tensor
  func gate(_ kind: Activation, _ gate: Tensor, _ up: Tensor, as type: DType) -> Tensor
  /// The gradients of gate and up; f32 ones overwrite them.
  func gateBackward(
    _ kind: Activation, _ gate: Tensor, _ up: Tensor, _ dy: Tensor, as type: DType
  ) -> (gate: Tensor, up: Tensor)
  /// [T, D] → [D, T]
  func transposed(_ x: Tensor, as type: DType) -> Tensor
  func dropout(_ x: Tensor, _ dropout: Dropout) -> Tensor

  // Magnitudes of outputs
  /// ‖W + scale · B A‖ of every output, [out], at least 1e-30; W stored as `layout` says, A [rank, in], B [out, rank].
  func outputNorms(_ weight: Tensor, _ layout: WeightLayout, down: Tensor, up: Tensor, scale: Float) -> Tensor
  /// x[T, D] · factors[D] + start; start is not `target`.
  func scaleColumns(_ x: Tensor, by factors: Tensor, start: ProductStart) -> Tensor
  /// Σ over rows of a · b: [T, D] → [D]
  func columnProducts(_ a: Tensor, _ b: Tensor) -> Tensor
  /// a / b, element by element.
  func divide(_ a: Tensor, by b: Tensor) -> Tensor

  // Norms
  func rmsNorm(_ x: Tensor, _ weight: Tensor, epsilon: Float, as type: DType) -> (y: Tensor, inverse: Tensor)
  /// The gradient of x is added to `residual` where given.
  func rmsNormBackward(
    _ x: Tensor, _ weight: Tensor, _ inverse: Tensor, _ dy: Tensor, addingTo residual: Tensor?, wants: NormGradients
  ) -> (x: Tensor?, weight: Tensor?)
  func layerNorm(_ x: Tensor, _ weight: Tensor, _ bias: Tensor, epsilon: Float)
    -> (y: Tensor, mean: Tensor, inverse: Tensor)
  func layerNormBackward(
    _ x: Tensor, _ weight: Tensor, _ mean: Tensor, _ inverse: Tensor, _ dy: Tensor, wants: NormGradients
  ) -> (x: Tensor?, weight: Tensor?, bias: Tensor?)

  // Attention
  /// Turns x itself.
  func rotary(
    _ x: Tensor, heads: Int, positions: Tensor, cosines: Tensor, sines: Tensor, inverse: Bool
  )
  func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ sequences: Sequences, _ mask: AttentionMask,
    dropout: Dropout?
  ) -> (y: Tensor, logSum: Tensor)
  func attentionBackward(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ y: Tensor, _ logSum: Tensor, _ dy: Tensor, _ shape: AttentionShape,
    _ sequences: Sequences, _ mask: AttentionMask, dropout: Dropout?
  ) -> (q: Tensor, k: Tensor, v: Tensor)

  // Rows
  /// table[indices]: [N, D] → [T, D]
  func gatherRows(_ table: Tensor, _ indices: Tensor) -> Tensor
  /// The pullback of `gatherRows`: zeros[N, D] with every row of x added at its index, in order.
  func scatterAddRows(_ x: Tensor, _ indices: Tensor, rows: Int) -> Tensor
  /// base with rows `indices` replaced by those of values (nil: by zeros).
  func replaceRows(_ base: Tensor, _ indices: Tensor, with values: Tensor?) -> Tensor
  /// [T, D₁], [T, D₂], … → [T, ΣD]
  func joinColumns(_ parts: [Tensor]) -> Tensor
  /// Columns `range` of x.
  func columns(_ x: Tensor, _ range: Range<Int>) -> Tensor
  /// x[n·P, D] + repeated table[P, D]; consumes nothing.
  func addRepeated(_ x: Tensor, _ table: Tensor) -> Tensor
  /// The pullback of `addRepeated` for the table: Σ over the n blocks of P rows.
  func sumRepeated(_ x: Tensor, period: Int) -> Tensor

  /// Square patches of pictures as rows: [n, C, H, W] → [n · H/size · W/size, C·size·size].
  func patches(_ pixels: Tensor, size: Int) -> Tensor

  // Loss
  /// Negative log-likelihood of each row's target under softmax(logits), in blocks of rows, and the gradients of
  /// Σ weight · nll that the terms want, with `rowWeights` [T], nil for 1; a row of weight 1 has the bits that it has
  /// without weights.
  func crossEntropy(
    _ logits: [LogitTerm], targets: Tensor, rowWeights: Tensor?
  ) -> (nll: Tensor, gradients: [LogitTerm.Gradients])

  /// The losses [T, 3] of `terms` under softmax(logits), unweighted, in blocks of rows, and the gradients of
  /// Σ weight · loss that the logits' terms want, the losses of each row multiplied by `rowWeights` [T] first; a
  /// teacher's logits come from its own states and head.
  func tokenLosses(
    _ logits: [LogitTerm], targets: Tensor, teacher: (hidden: Tensor, head: Tensor)?, _ terms: TokenTerms,
    rowWeights: Tensor?
  ) -> (losses: Tensor, gradients: [LogitTerm.Gradients])

  // Optimiser
  /// Σ x², in a fixed order and double precision.
  func sumOfSquares(_ x: Tensor) -> Double
  /// Updates a weight and the state in `update` in place.
  func update(_ weight: Tensor, by gradient: Tensor, _ update: ParameterUpdate, _ step: UpdateStep)
  /// x += share · (target − x), in place: a moving average.
  func move(_ x: Tensor, towards target: Tensor, share: Float)
}

extension Backend {
  /// Under softmax(hidden · headᵀ).
  public func crossEntropy(
    hidden: Tensor, head: Tensor, targets: Tensor, rowWeights: Tensor? = nil, wants: (hidden: Bool, head: Bool)
  ) -> (nll: Tensor, hidden: Tensor?, head: Tensor?) {
    let term = LogitTerm(hidden, head, wants: (states: wants.hidden, matrix: wants.head))
    let found = crossEntropy([term], targets: targets, rowWeights: rowWeights)
    return (found.nll, found.gradients[0].states, found.gradients[0].matrix)
  }

  /// Zeros of any type.
  public func zeros(_ shape: [Int], _ dtype: DType) -> Tensor {
    if dtype == .float32 { return zeros(shape) }
    let y = empty(shape, dtype)
    [UInt8](repeating: 0, count: y.byteCount).withUnsafeBytes { overwrite(y, with: $0) }
    return y
  }
}

/// Zeroes each element with probability `rate`, drawn for `key`, and scales the others by 1 / (1 − rate).
public struct Dropout: Sendable {
  public let rate: Float
  public let key: UInt64

  /// Nil where nothing is to be dropped: no stream (not training) or a rate of 0.
  public init?(rate: Float, _ stream: RandomStream?) {
    guard rate > 0, let stream else { return nil }
    self.rate = rate
    self.key = stream.key
  }
}

/// Which gradients of a norm are wanted.
public struct NormGradients: Sendable {
  public let input: Bool
  public let weight: Bool

  public init(input: Bool, weight: Bool) {
    self.input = input
    self.weight = weight
  }
}
