/// How the values of a matrix come from 4-bit codes (NF4 of QLoRA, Dettmers et al. 2023, arXiv:2305.14314).
///
/// Code c of element i stands for quantile(c) · magnitude(i / 64), where elements are counted row by row. Such a tensor's
/// storage holds the codes, two a byte, the first in the high half; its `dtype` is what values are rounded to where they
/// are used. With magnitudes that are coded themselves an element takes 4 + 8/64 + 32/(64 · 256) = 4.127 bits.
public struct NF4 {
  /// How many elements share a magnitude, and how many coded magnitudes share one of theirs.
  public static let (block, scaleBlock) = (64, 256)

  /// The magnitudes of the blocks.
  public enum Scales {
    /// [blocks], F32.
    case plain(Tensor)
    /// map[code] · magnitude(block / 256) + offset: codes [blocks], U8; magnitudes [⌈blocks / 256⌉] and map [256], F32.
    case coded(codes: Tensor, magnitudes: Tensor, map: Tensor, offset: Float)
  }

  public let scales: Scales

  /// All that is kept beside the codes: magnitudes, and their codes and map where they have any.
  public var tensors: [Tensor] {
    switch scales {
    case .plain(let magnitudes): [magnitudes]
    case .coded(let codes, let magnitudes, let map, _): [codes, magnitudes, map]
    }
  }
  /// Whether magnitudes are coded themselves.
  public var isCoded: Bool { if case .coded = scales { true } else { false } }
  /// What is added to decoded magnitudes.
  public var offset: Float { if case .coded(_, _, _, let offset) = scales { offset } else { 0 } }

  /// How many bytes the codes of `count` elements take, and how many blocks there are.
  public static func codeBytes(_ count: Int) -> Int { (count + 1) / 2 }
  public static func blocks(_ count: Int) -> Int { (count + block - 1) / block }
  public static func scaleBlocks(_ count: Int) -> Int { (blocks(count) + scaleBlock - 1) / scaleBlock }
}

extension NF4 {
  /// What the codes 0 … 15 stand for: quantiles of the normal distribution, in parts of the largest.
  public static let values: [Float] = [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
  ]

  /// What 8-bit codes of magnitudes stand for.
  public static let scaleMap = DynamicMap.signed.values
}

extension Backend {
  /// The values of a tensor, however it keeps them.
  public func plain(_ x: Tensor, as dtype: DType) -> Tensor {
    x.nf4 == nil ? cast(x, to: dtype) : dequantised(x, as: dtype)
  }
}

extension Tensor {
  /// A matrix of NF4 codes.
  ///
  /// - Parameters:
  ///   - codes: U8, ⌈elements / 2⌉ of them.
  ///   - dtype: F32 or BF16, what values are rounded to where they are used.
  public convenience init(codes: Tensor, scales: NF4.Scales, shape: [Int], dtype: DType) {
    let count = shape.reduce(1, *)
    let fits =
      switch scales {
      case .plain(let magnitudes): magnitudes.count == NF4.blocks(count) && magnitudes.dtype == .float32
      case .coded(let codes, let magnitudes, let map, _):
        codes.count == NF4.blocks(count) && codes.dtype == .uint8 && magnitudes.count == NF4.scaleBlocks(count)
          && magnitudes.dtype == .float32 && map.count == 256 && map.dtype == .float32
      }
    precondition(
      fits && codes.dtype == .uint8 && codes.count == NF4.codeBytes(count) && [.float32, .bfloat16].contains(dtype),
      "NF4: \(codes.count) bytes and \(scales) for \(shape) \(dtype)")
    self.init(storage: codes.storage, offset: codes.offset, shape: shape, dtype: dtype, nf4: NF4(scales: scales))
  }
}
