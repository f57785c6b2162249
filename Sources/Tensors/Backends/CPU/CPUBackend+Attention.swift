import Foundation
import Kernels

/// Attention is cut into tiles of query rows of one head of one sequence; the scores of a tile live in scratch
/// memory only, so memory grows with the length and not with its square.
extension CPUBackend {
  private var tileRows: Int { 64 }

  public func rotary(
    _ x: Tensor, heads: Int, positions: Tensor, cosines: Tensor, sines: Tensor, inverse: Bool
  ) {
    precondition(x.width % (2 * heads) == 0, "rotary: \(x.shape) in \(heads) heads")
    precondition(positions.count == x.rows, "rotary: \(x.shape) with \(positions.count) positions")
    let headWidth = x.width / heads
    workers.runs(of: x.rows, size: rowsPerPiece(x.width)) { rows in
      let from = rows.lowerBound * x.width
      mmd_rotary(
        x.floats + from, rows.count, heads, headWidth, positions.integers + rows.lowerBound,
        cosines.floats, sines.floats, inverse ? -1 : 1)
    }
  }

  private struct Tile {
    let sequence, head, first, rows: Int
  }

  /// Sees `(visible_first, visible_step)` of the kernels for the tile that starts at query `first`.
  private func visibility(_ mask: AttentionMask, queries: Int, keys: Int, first: Int) -> (first: Int, step: Int) {
    switch mask {
    case .bidirectional: (keys, 0)
    case .causal: (keys - queries + first + 1, 1)
    }
  }

  public func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ sequences: Sequences, _ mask: AttentionMask,
    dropout: Dropout?
  ) -> (y: Tensor, logSum: Tensor) {
    check(q, k, v, shape)
    let (y, logSum) = (floats(q.shape), floats([q.rows, shape.heads]))
    var tiles: [Tile] = []
    for (sequence, queries) in sequences.queries.enumerated() {
      for head in 0..<shape.heads {
        for first in stride(from: 0, to: queries.count, by: tileRows) {
          tiles.append(Tile(sequence: sequence, head: head, first: first, rows: min(tileRows, queries.count - first)))
        }
      }
    }
    let (width, group, scale) = (shape.headWidth, shape.heads / shape.keyHeads, scale(of: shape))
    workers.run(tiles.count) { piece in
      let tile = tiles[piece]
      let (queries, keys) = (sequences.queries[tile.sequence], sequences.keys[tile.sequence])
      let row = queries.lowerBound + tile.first
      let keyOffset = keys.lowerBound * k.width + tile.head / group * width
      let seen = visibility(mask, queries: queries.count, keys: keys.count, first: tile.first)
      let scratch = pool.storage(tile.rows * keys.count * 4)
      mmd_attention(
        products.kernel, q.floats + row * q.width + tile.head * width, q.width, k.floats + keyOffset, v.floats + keyOffset, k.width,
        y.floats + row * q.width + tile.head * width, q.width, logSum.floats + row * shape.heads + tile.head,
        shape.heads, tile.rows, keys.count, seen.first, seen.step, width, scale,
        dropout?.rate ?? 0, rowKey(dropout, head: tile.head, row: row),
        scratch.address.assumingMemoryBound(to: Float.self))
    }
    return (y, logSum)
  }

  public func attentionBackward(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ y: Tensor, _ logSum: Tensor, _ dy: Tensor, _ shape: AttentionShape,
    _ sequences: Sequences, _ mask: AttentionMask, dropout: Dropout?
  ) -> (q: Tensor, k: Tensor, v: Tensor) {
    let (dq, dk, dv) = (floats(q.shape), zeros(k.shape), zeros(v.shape))
    let (width, group, scale) = (shape.headWidth, shape.heads / shape.keyHeads, scale(of: shape))
    // One piece owns one key head of one sequence, so that its dk and dv are added up in order by one thread.
    workers.run(sequences.queries.count * shape.keyHeads) { piece in
      let (sequence, keyHead) = (piece / shape.keyHeads, piece % shape.keyHeads)
      let (queries, keys) = (sequences.queries[sequence], sequences.keys[sequence])
      let keyOffset = keys.lowerBound * k.width + keyHead * width
      let scratch = pool.storage(2 * tileRows * keys.count * 4)
      for head in keyHead * group..<(keyHead + 1) * group {
        for first in stride(from: 0, to: queries.count, by: tileRows) {
          let offset = (queries.lowerBound + first) * q.width + head * width
          let seen = visibility(mask, queries: queries.count, keys: keys.count, first: first)
          mmd_attention_backward(
            products.kernel, q.floats + offset, q.width, k.floats + keyOffset, v.floats + keyOffset, k.width, y.floats + offset,
            q.width, logSum.floats + (queries.lowerBound + first) * shape.heads + head, shape.heads,
            dy.floats + offset, dq.floats + offset, dk.floats + keyOffset, dv.floats + keyOffset,
            min(tileRows, queries.count - first), keys.count, seen.first, seen.step, width, scale,
            dropout?.rate ?? 0, rowKey(dropout, head: head, row: queries.lowerBound + first),
            scratch.address.assumingMemoryBound(to: Float.self))
        }
      }
    }
    return (dq, dk, dv)
  }

  /// What the draw for query rows from `row` on starts from; row i continues at i · 2³² from there.
  private func rowKey(_ dropout: Dropout?, head: Int, row: Int) -> UInt64 {
    guard let dropout else { return 0 }
    return RandomStream([dropout.key, UInt64(head)]).key &+ UInt64(row) << 32
  }

  private func scale(of shape: AttentionShape) -> Float { 1 / Float(shape.headWidth).squareRoot() }

  private func check(_ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape) {
    precondition(
      q.width == shape.heads * shape.headWidth && k.width == shape.keyHeads * shape.headWidth && v.shape == k.shape,
      "attention: \(q.shape), \(k.shape), \(v.shape) for \(shape)")
  }
}
