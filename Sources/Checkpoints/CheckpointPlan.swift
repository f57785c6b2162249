import Ground
import SafeTensors
import Tensors

/// Which block of which tensor goes into which shard.
///
/// The plan follows from the list of tensors (names, types, shapes, order) and the shard size alone, so that a
/// checkpoint does not depend on how many ranks wrote it, or which.
public struct CheckpointPlan: Sendable {
  /// One entry of a shard: a block of a tensor, or all of it.
  public struct Piece: Sendable {
    /// The place of the tensor in ``CheckpointPlan/tensors``.
    public let tensor: Int
    public let box: Box
  }

  /// One file: a safetensors file once it is decompressed.
  public struct Shard: Sendable {
    /// In the order in which they are stored, that of the reference writer.
    public let pieces: [Piece]
    /// What the safetensors header calls each piece, with its type and shape.
    public let entries: [TensorDescription]
    /// Length of the decompressed file.
    public let byteCount: Int
    let header: [UInt8]
  }

  public let tensors: [TensorDescription]
  public let shards: [Shard]

  /// - Parameter shardBytes: what the values in a shard come to at most, before compression; at least one element.
  public init(tensors: [TensorDescription], shardBytes: Int = 32 << 20) {
    self.tensors = tensors
    var shards: [[Piece]] = []
    var room = 0
    for (index, tensor) in tensors.enumerated() {
      precondition(tensor.byteCount != nil, "checkpoint: '\(tensor.name)' has an impossible shape \(tensor.shape)")
      for box in Box.cut(tensor.shape, elements: max(shardBytes / tensor.dtype.size, 1)) {
        let size = box.elementCount * tensor.dtype.size
        if size > room || shards.isEmpty {
          shards.append([])
          room = shardBytes
        }
        shards[shards.count - 1].append(Piece(tensor: index, box: box))
        room -= size
      }
    }
    self.shards = shards.map { Shard($0, of: tensors) }
  }
}

extension CheckpointPlan.Shard {
  fileprivate init(_ pieces: [CheckpointPlan.Piece], of tensors: [TensorDescription]) {
    let named = pieces.map { (piece: $0, entry: tensors[$0.tensor].part($0.box)) }
      .sorted { TensorDescription.inReferenceOrder($0.entry, $1.entry) }
    self.pieces = named.map(\.piece)
    entries = named.map(\.entry)
    header = safeTensorsHeader(entries)
    byteCount = entries.reduce(header.count) { $0 + $1.byteCount! }
  }
}

extension TensorDescription {
  /// What a shard calls a block of this tensor: the tensor's name, and the slice unless it is all of it.
  func part(_ box: Box) -> TensorDescription {
    let isWhole = box == Box(wholeOf: shape)
    return TensorDescription(name: isWhole ? name : name + box.slice, dtype: dtype, shape: box.size)
  }
}
