import Ground

/// Any device, with a span in a ``Profile`` for each primitive: the devices know nothing of it.
///
/// Memory that is handed out or read is passed on without a span.
public final class ProfiledBackend: Backend {
  private let base: any Backend
  private let profile: Profile

  public init(_ base: any Backend, _ profile: Profile) {
    self.base = base
    self.profile = profile
  }

  private func span<Value>(
    _ name: String, _ operands: [Tensor], _ matrixWork: @autoclosure () -> Profile.Work? = nil, _ body: () -> Value
  ) -> Value {
    profile.span(.primitive, name, matrixWork() ?? Profile.Work(shapes: operands.map(\.shape)), body)
  }

  // MARK: Memory

  public var summary: String { base.summary }
  public var peakMemory: Int { base.peakMemory }
  public var arithmetic: String { base.arithmetic }
  public var computesRowsApart: Bool { base.computesRowsApart }
  public var multipliesBFloat16: Bool { base.multipliesBFloat16 }
  public func empty(_ shape: [Int], _ dtype: DType) -> Tensor { base.empty(shape, dtype) }
  public func tensor(_ values: [Float], _ shape: [Int]) -> Tensor { base.tensor(values, shape) }
  public func tensor(_ values: [Int32]) -> Tensor { base.tensor(values) }
  public func read(_ tensor: Tensor) -> [Float] { base.read(tensor) }

  public func adopt(_ bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, owner: AnyObject) -> Tensor {
    base.adopt(bytes, shape: shape, dtype: dtype, owner: owner)
  }
  public func withBytes<R>(of tensor: Tensor, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try base.withBytes(of: tensor, body)
  }
  public func overwrite(_ tensor: Tensor, with bytes: UnsafeRawBufferPointer) { base.overwrite(tensor, with: bytes) }

  public func zeros(_ shape: [Int]) -> Tensor {
    profile.span(.primitive, "zeros", Profile.Work(shapes: [shape])) { base.zeros(shape) }
  }
  public func cast(_ x: Tensor, to dtype: DType) -> Tensor {
    x.dtype == dtype ? x : span("cast", [x]) { base.cast(x, to: dtype) }
  }

  // MARK: 4-bit codes

  public func quantised(_ x: Tensor) -> (codes: Tensor, magnitudes: Tensor) {
    span("quantised", [x]) { base.quantised(x) }
  }
  public func coded(_ magnitudes: Tensor) -> NF4.Scales { span("coded", [magnitudes]) { base.coded(magnitudes) } }
  public func dequantised(_ x: Tensor, as dtype: DType) -> Tensor {
    span("dequantised", [x]) { base.dequantised(x, as: dtype) }
  }

  // MARK: Products

  public func product(_ terms: [ProductTerm], scale: Float, start: ProductStart, into target: Factor) {
    span("product", [], MatrixWork.product(terms)) {
      base.product(terms, scale: scale, start: start, into: target)
    }
  }
  public func joinRows(_ parts: [Tensor]) -> Tensor { span("joinRows", parts) { base.joinRows(parts) } }

  // MARK: Element by element

  public func add(_ a: Tensor, _ b: Tensor) -> Tensor { span("add", [a, b]) { base.add(a, b) } }
  public func scale(_ x: Tensor, by factor: Float) -> Tensor { span("scale", [x]) { base.scale(x, by: factor) } }
  public func columnSum(_ x: Tensor) -> Tensor { span("columnSum", [x]) { base.columnSum(x) } }

  public func activate(_ kind: Activation, _ x: Tensor) -> Tensor {
    span("activate", [x]) { base.activate(kind, x) }
  }
  public func activateBackward(_ kind: Activation, _ x: Tensor, _ dy: Tensor) -> Tensor {
    span("activateBackward", [x]) { base.activateBackward(kind, x, dy) }
  }
  public func gate(_ kind: Activation, _ gate: Tensor, _ up: Tensor, as type: DType) -> Tensor {
    span("gate", [gate]) { base.gate(kind, gate, up, as: type) }
  }
  public func gateBackward(
    _ kind: Activation, _ gate: Tensor, _ up: Tensor, _ dy: Tensor, as type: DType
  ) -> (gate: Tensor, up: Tensor) {
    span("gateBackward", [gate]) { base.gateBackward(kind, gate, up, dy, as: type) }
  }
  public func transposed(_ x: Tensor, as type: DType) -> Tensor {
    span("transposed", [x]) { base.transposed(x, as: type) }
  }
  public func dropout(_ x: Tensor, _ dropout: Dropout) -> Tensor { span("dropout", [x]) { base.dropout(x, dropout) } }

  // MARK: Magnitudes of outputs

  public func outputNorms(
    _ weight: Tensor, _ layout: WeightLayout, down: Tensor, up: Tensor, scale: Float
  ) -> Tensor {
    span("outputNorms", [weight, down]) { base.outputNorms(weight, layout, down: down, up: up, scale: scale) }
  }
  public func scaleColumns(_ x: Tensor, by factors: Tensor, start: ProductStart) -> Tensor {
    span("scaleColumns", [x]) { base.scaleColumns(x, by: factors, start: start) }
  }
  public func columnProducts(_ a: Tensor, _ b: Tensor) -> Tensor {
    span("columnProducts", [a, b]) { base.columnProducts(a, b) }
  }
  public func divide(_ a: Tensor, by b: Tensor) -> Tensor { span("divide", [a, b]) { base.divide(a, by: b) } }

  // MARK: Norms

  public func rmsNorm(
    _ x: Tensor, _ weight: Tensor, epsilon: Float, as type: DType
  ) -> (y: Tensor, inverse: Tensor) {
    span("rmsNorm", [x]) { base.rmsNorm(x, weight, epsilon: epsilon, as: type) }
  }
  public func rmsNormBackward(
    _ x: Tensor, _ weight: Tensor, _ inverse: Tensor, _ dy: Tensor, addingTo residual: Tensor?, wants: NormGradients
  ) -> (x: Tensor?, weight: Tensor?) {
    span("rmsNormBackward", [x]) {
      base.rmsNormBackward(x, weight, inverse, dy, addingTo: residual, wants: wants)
    }
  }
  public func layerNorm(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor, epsilon: Float
  ) -> (y: Tensor, mean: Tensor, inverse: Tensor) {
    span("layerNorm", [x]) { base.layerNorm(x, weight, bias, epsilon: epsilon) }
  }
  public func layerNormBackward(
    _ x: Tensor, _ weight: Tensor, _ mean: Tensor, _ inverse: Tensor, _ dy: Tensor, wants: NormGradients
  ) -> (x: Tensor?, weight: Tensor?, bias: Tensor?) {
    span("layerNormBackward", [x]) { base.layerNormBackward(x, weight, mean, inverse, dy, wants: wants) }
  }

  // MARK: Attention

  public func rotary(
    _ x: Tensor, heads: Int, positions: Tensor, cosines: Tensor, sines: Tensor, inverse: Bool
  ) {
    span("rotary", [x]) {
      base.rotary(x, heads: heads, positions: positions, cosines: cosines, sines: sines, inverse: inverse)
    }
  }
  public func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ sequences: Sequences, _ mask: AttentionMask,
    dropout: Dropout?
  ) -> (y: Tensor, logSum: Tensor) {
    span("attention", [q, k, v], MatrixWork.attention(q, k, v, shape, sequences.pairs(mask), products: 2)) {
      base.attention(q, k, v, shape, sequences, mask, dropout: dropout)
    }
  }
  public func attentionBackward(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ y: Tensor, _ logSum: Tensor, _ dy: Tensor, _ shape: AttentionShape,
    _ sequences: Sequences, _ mask: AttentionMask, dropout: Dropout?
  ) -> (q: Tensor, k: Tensor, v: Tensor) {
    span("attentionBackward", [q, k, v], MatrixWork.attention(q, k, v, shape, sequences.pairs(mask), products: 5)) {
      base.attentionBackward(q, k, v, y, logSum, dy, shape, sequences, mask, dropout: dropout)
    }
  }

  // MARK: Rows

  public func gatherRows(_ table: Tensor, _ indices: Tensor) -> Tensor {
    span("gatherRows", [table, indices]) { base.gatherRows(table, indices) }
  }
  public func scatterAddRows(_ x: Tensor, _ indices: Tensor, rows: Int) -> Tensor {
    span("scatterAddRows", [x]) { base.scatterAddRows(x, indices, rows: rows) }
  }
  public func replaceRows(_ base: Tensor, _ indices: Tensor, with values: Tensor?) -> Tensor {
    span("replaceRows", [base, indices]) { self.base.replaceRows(base, indices, with: values) }
  }
  public func joinColumns(_ parts: [Tensor]) -> Tensor { span("joinColumns", parts) { base.joinColumns(parts) } }
  public func columns(_ x: Tensor, _ range: Range<Int>) -> Tensor { span("columns", [x]) { base.columns(x, range) } }
  public func addRepeated(_ x: Tensor, _ table: Tensor) -> Tensor {
    span("addRepeated", [x, table]) { base.addRepeated(x, table) }
  }
  public func sumRepeated(_ x: Tensor, period: Int) -> Tensor {
    span("sumRepeated", [x]) { base.sumRepeated(x, period: period) }
  }
  public func patches(_ pixels: Tensor, size: Int) -> Tensor {
    span("patches", [pixels]) { base.patches(pixels, size: size) }
  }

  // MARK: Loss and optimiser

  public func crossEntropy(
    _ logits: [LogitTerm], targets: Tensor, rowWeights: Tensor?
  ) -> (nll: Tensor, gradients: [LogitTerm.Gradients]) {
    span("crossEntropy", logits.flatMap { [$0.states, $0.matrix] }, MatrixWork.logits(logits)) {
      base.crossEntropy(logits, targets: targets, rowWeights: rowWeights)
    }
  }
  public func tokenLosses(
    _ logits: [LogitTerm], targets: Tensor, teacher: (hidden: Tensor, head: Tensor)?, _ terms: TokenTerms,
    rowWeights: Tensor?
  ) -> (losses: Tensor, gradients: [LogitTerm.Gradients]) {
    span("tokenLosses", logits.flatMap { [$0.states, $0.matrix] }, MatrixWork.logits(logits)) {
      base.tokenLosses(logits, targets: targets, teacher: teacher, terms, rowWeights: rowWeights)
    }
  }
  public func sumOfSquares(_ x: Tensor) -> Double { span("sumOfSquares", [x]) { base.sumOfSquares(x) } }
  public func update(_ weight: Tensor, by gradient: Tensor, _ update: ParameterUpdate, _ step: UpdateStep) {
    span("update", [weight]) { base.update(weight, by: gradient, update, step) }
  }
  public func move(_ x: Tensor, towards target: Tensor, share: Float) {
    span("move", [x]) { base.move(x, towards: target, share: share) }
  }
}
