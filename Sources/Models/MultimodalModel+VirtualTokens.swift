import Modules
import Tensors

extension MultimodalModel {
  /// The longest sequence that positions reach behind the virtual tokens; nil where there is no limit.
  public var longestSequence: Int? {
    language.longestSequence.map { max(0, $0 - (language.virtualTokens?.count ?? 0)) }
  }

  /// Hidden states as ``hidden(_:imageRows:pictures:rows:cache:_:)`` gives them, of the batch's own tokens alone.
  ///
  /// n virtual tokens take the first n positions of every sequence. Those that have embeddings become rows of their own;
  /// all become keys. With a cache they come once, with the first tokens.
  func decode(
    _ embeddings: Tensor, _ batch: TokenBatch, behind virtualTokens: any VirtualTokens, rows: Tensor?,
    cache: KeyValueCache?, _ context: Context
  ) -> Tensor {
    let (count, backend, runs) = (virtualTokens.count, context.backend, batch.sequences.queries)
    let front = cache?.count ?? 0 == 0 ? virtualTokens.embeddings(context) : nil
    let positions = backend.integers(batch.positions).map { $0 + Int32(count) }
    let keys = batch.sequences.keys.enumerated().map { index, range in
      range.lowerBound + index * count..<range.upperBound + (index + 1) * count
    }
    func moved(_ positions: [Int32], queries: [Range<Int>]) -> TokenBatch {
      TokenBatch(
        ids: batch.ids, positions: backend.tensor(positions), positionLimit: batch.positionLimit + count,
        sequences: Sequences(queries: queries, keys: keys))
    }
    guard let front else {
      return language.decode(embeddings, moved(positions, queries: runs), rows: rows, cache: cache, context)
    }
    let all = runs.flatMap { Array(0..<Int32(count)) + positions[$0] }
    // Where each of the batch's own tokens lies now.
    var places: [Int32] = []
    for (index, run) in runs.enumerated() { places += run.map { Int32($0 + (index + 1) * count) } }
    if let rows { places = backend.integers(rows).map { [places] in places[Int($0)] } }
    return language.decode(
      context.prepend(front, to: embeddings, runs: runs), moved(all, queries: keys), rows: backend.tensor(places),
      cache: cache, context)
  }
}

extension Backend {
  /// The numbers of an int32 tensor.
  fileprivate func integers(_ tensor: Tensor) -> [Int32] {
    withBytes(of: tensor) { Array($0.bindMemory(to: Int32.self)) }
  }
}
