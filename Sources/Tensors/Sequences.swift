/// Where the sequences of a ragged batch lie: rows [T, D] hold them one after another, without padding.
///
/// Attention stays inside a sequence. With a cache, a sequence has more keys than queries; its queries are the last of its rows.
public struct Sequences: Equatable, Sendable {
  /// Row ranges of the queries, in order, covering all rows.
  public let queries: [Range<Int>]
  /// Row ranges of the keys and values.
  public let keys: [Range<Int>]

  public init(queries: [Range<Int>], keys: [Range<Int>]) {
    self.queries = queries
    self.keys = keys
  }

  /// Sequences that attend to themselves.
  public init(lengths: [Int]) {
    var ranges: [Range<Int>] = []
    var end = 0
    for length in lengths {
      ranges.append(end..<end + length)
      end += length
    }
    self.init(queries: ranges, keys: ranges)
  }
}

/// Which keys a query sees within its sequence.
public enum AttentionMask: Sendable { case causal, bidirectional }

/// How attention is laid out over heads.
public struct AttentionShape: Equatable, Sendable {
  public let heads: Int
  /// Heads of keys and values; `heads / keyHeads` query heads share each (grouped-query attention).
  public let keyHeads: Int
  public let headWidth: Int

  public init(heads: Int, keyHeads: Int, headWidth: Int) {
    precondition(heads % keyHeads == 0, "attention: \(heads) heads do not share \(keyHeads) key heads")
    self.heads = heads
    self.keyHeads = keyHeads
    self.headWidth = headWidth
  }
}

/// An element-wise non-linearity; raw values are those of the kernels.
public enum Activation: Int32, Sendable {
  /// x·Φ(x), with the error function.
  case gelu = 0
  /// GELU's tanh approximation.
  case geluTanh = 1
  /// x·σ(1.702 x)
  case quickGELU = 2
  /// x·σ(x)
  case silu = 3
  case relu = 4

  /// The activation that Hugging Face configurations call `name`.
  public init?(named name: String) {
    switch name {
    case "gelu": self = .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate": self = .geluTanh
    case "quick_gelu": self = .quickGELU
    case "silu", "swish": self = .silu
    case "relu": self = .relu
    default: return nil
    }
  }
}
