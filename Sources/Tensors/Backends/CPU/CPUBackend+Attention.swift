import Foundation
import Kernels

/// Attention is cut into tiles of query rows of one head of one sequence; the scores of a tile live in scratch
/// memory only, so memory grows with the length and not with its square.
extension CPUBackend {
  /// Rows of queries whose scores are kept at a time. More of them pay for bringing the keys into panels; but causal rows
  /// take what the last of their tile sees, and the scores should stay in the second cache.
  private func tileRows(keys: Int, _ mask: AttentionMask) -> Int {
    mask == .causal ? 64 : min(192, max(64, 110_000 / max(keys, 1)))
  }

  /// The same in equal parts, in multiples of the rows that products take together: a short tile at the end would bring
  /// all keys into panels for a few rows.
  private func evenRows(_ queries: Int, keys: Int, _ mask: AttentionMask) -> Int {
    let most = tileRows(keys: keys, mask)
    let parts = max(1, (queries + most / 2) / most)
    return ((queries + parts - 1) / parts + 5) / 6 * 6
  }

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

  public func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ sequences: Sequences, _ mask: AttentionMask,
    dropout: Dropout?
  ) -> (y: Tensor, logSum: Tensor) {
    let (q, k, v) = factors(q, k, v)
    let call = AttentionCall(q, k, v, shape, sequences, mask, dropout)
    let (y, logSum) = (floats(q.shape), floats([q.rows, shape.heads]))
    var tiles: [(sequence: Int, head: Int, queries: Range<Int>)] = []
    for (sequence, queries) in sequences.queries.enumerated() {
      let size = evenRows(queries.count, keys: sequences.keys[sequence].count, mask)
      for head in 0..<shape.heads {
        tiles += stride(from: 0, to: queries.count, by: size).map {
          (sequence, head, $0..<min(queries.count, $0 + size))
        }
      }
    }
    workers.run(tiles.count) { piece in
      let (sequence, head, queries) = tiles[piece]
      var tile = tile(call, sequence: sequence, head: head, queries)
      let scratch = pool.storage(mmd_attention_scratch(tile.rows, tile.keys, tile.head_width, false) * 4)
      let row = sequences.queries[sequence].lowerBound + queries.lowerBound
      mmd_attention(
        &tile, y.floats + call.offset(row: row, head: head), q.width, logSum.floats + row * shape.heads + head,
        shape.heads, scratch.address.assumingMemoryBound(to: Float.self))
    }
    return (y, logSum)
  }

  public func attentionBackward(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ y: Tensor, _ logSum: Tensor, _ dy: Tensor, _ shape: AttentionShape,
    _ sequences: Sequences, _ mask: AttentionMask, dropout: Dropout?
  ) -> (q: Tensor, k: Tensor, v: Tensor) {
    let (q, k, v) = factors(q, k, v)
    let call = AttentionCall(q, k, v, shape, sequences, mask, dropout)
    precondition(
      sequences.keys.reduce(0) { $0 + $1.count } == k.rows
        && zip(sequences.queries, sequences.keys).allSatisfy { !$0.isEmpty || $1.isEmpty },
      "attentionBackward: \(k) has rows that no query sees")
    let (width, columns, rows) = (shape.headWidth, q.width, mask == .causal ? 48 : 64)
    let (dq, dk, dv) = (floats(q.shape), floats([k.rows, columns]), floats([k.rows, columns]))
    let isHalf = q.dtype == .bfloat16
    let (halfDy, keysTransposed) = isHalf ? (cast(dy, to: .bfloat16), transposed(k, as: .bfloat16)) : (nil, nil)
    // One piece owns one head of one sequence, so that its dk and dv are added up in order by one thread; heads that share
    // their keys have dk and dv of their own until all are done.
    workers.run(sequences.queries.count * shape.heads) { piece in
      let (sequence, head) = (piece / shape.heads, piece % shape.heads)
      let (queries, keys) = (sequences.queries[sequence], sequences.keys[sequence])
      let scratch = pool.storage(mmd_attention_scratch(rows, keys.count, width, true) * 4)
      let keyHead = head / (shape.heads / shape.keyHeads)
      let keysOffset = keyHead * width * k.rows + keys.lowerBound
      let ownKeys = keys.lowerBound * columns + head * width
      // The last queries see all keys: they begin the sums. What is left for a short tile sees few keys.
      for end in stride(from: queries.count, to: 0, by: -rows) {
        let tileRows = max(0, end - rows)..<end
        let row = queries.lowerBound + tileRows.lowerBound
        let offset = call.offset(row: row, head: head)
        var tile = tile(call, sequence: sequence, head: head, tileRows)
        mmd_attention_backward(
          &tile, keysTransposed.map { $0.halves + keysOffset }, k.rows, y.floats + offset, dy.floats + offset,
          halfDy.map { $0.halves + offset }, q.width, logSum.floats + row * shape.heads + head, shape.heads,
          dq.floats + offset, dk.floats + ownKeys, dv.floats + ownKeys, columns, end < queries.count,
          scratch.address.assumingMemoryBound(to: Float.self))
      }
    }
    return (dq, summed(dk, shape), summed(dv, shape))
  }

  /// What attention multiplies: bf16 as such, or widened where no such numbers are multiplied.
  private func factors(_ q: Tensor, _ k: Tensor, _ v: Tensor) -> (Tensor, Tensor, Tensor) {
    multipliesBFloat16 ? (q, k, v) : (cast(q, to: .float32), cast(k, to: .float32), cast(v, to: .float32))
  }

  /// The sums over the heads that share their keys, of gradients [T, heads · width].
  private func summed(_ gradients: Tensor, _ shape: AttentionShape) -> Tensor {
    guard shape.keyHeads < shape.heads else { return gradients }
    let (columns, width) = (gradients.width, shape.keyHeads * shape.headWidth)
    let sums = floats([gradients.rows, width])
    workers.runs(of: gradients.rows, size: rowsPerPiece(columns)) { rows in
      mmd_sum_groups(
        gradients.floats + rows.lowerBound * columns, rows.count, shape.keyHeads, shape.heads / shape.keyHeads,
        shape.headWidth, sums.floats + rows.lowerBound * width)
    }
    return sums
  }

  /// What all tiles of one attention share.
  private struct AttentionCall {
    let q, k, v: Tensor
    let shape: AttentionShape
    let sequences: Sequences
    let mask: AttentionMask
    let dropout: Dropout?

    init(
      _ q: Tensor, _ k: Tensor, _ v: Tensor, _ shape: AttentionShape, _ sequences: Sequences, _ mask: AttentionMask,
      _ dropout: Dropout?
    ) {
      precondition(
        q.width == shape.heads * shape.headWidth && k.width == shape.keyHeads * shape.headWidth && v.shape == k.shape
          && q.dtype == k.dtype && k.dtype == v.dtype, "attention: \(q), \(k), \(v) for \(shape)")
      (self.q, self.k, self.v) = (q, k, v)
      (self.shape, self.sequences, self.mask, self.dropout) = (shape, sequences, mask, dropout)
    }

    /// Where a query's head begins, in elements of q.
    func offset(row: Int, head: Int) -> Int { row * q.width + head * shape.headWidth }
  }

  /// The tile of some queries of a sequence, of one head.
  private func tile(_ call: AttentionCall, sequence: Int, head: Int, _ own: Range<Int>) -> mmd_attention_tile {
    let (shape, queries, keys) = (call.shape, call.sequences.queries[sequence], call.sequences.keys[sequence])
    let (row, size) = (queries.lowerBound + own.lowerBound, call.q.dtype.size)
    let keyOffset = keys.lowerBound * call.k.width + head / (shape.heads / shape.keyHeads) * shape.headWidth
    let seen =
      call.mask == .causal
      ? (first: keys.count - queries.count + own.lowerBound + 1, step: 1) : (first: keys.count, step: 0)
    return mmd_attention_tile(
      product: kernel, is_half: call.q.dtype == .bfloat16,
      q: call.q.bytes + call.offset(row: row, head: head) * size, k: call.k.bytes + keyOffset * size,
      v: call.v.bytes + keyOffset * size, q_stride: call.q.width, kv_stride: call.k.width,
      rows: own.count, keys: keys.count, visible_first: seen.first,
      visible_step: seen.step, head_width: shape.headWidth, scale: 1 / Float(shape.headWidth).squareRoot(),
      dropout_rate: call.dropout?.rate ?? 0, dropout_key: rowKey(call.dropout, head: head, row: row))
  }

  /// What the draw for query rows from `row` on starts from; row i continues at i · 2³² from there.
  private func rowKey(_ dropout: Dropout?, head: Int, row: Int) -> UInt64 {
    guard let dropout else { return 0 }
    return RandomStream([dropout.key, UInt64(head)]).key &+ UInt64(row) << 32
  }
}
