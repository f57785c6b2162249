import Modules
import Tensors

extension MultimodalModel {
  /// The longest sequence that positions reach behind the virtual tokens; nil where there is no limit.
  public var longestSequence: Int? {
    language.longestSequence.map { max(0, $0 - (language.virtualTokens?.count ?? 0)) }
  }

  /// A batch as the language model takes it, behind its virtual tokens.
  struct Placed {
    let embeddings: Tensor
    let batch: TokenBatch
    /// Where each of the batch's own tokens lies now; nil: where it lay.
    let places: [Int32]?

    /// Where rows of the batch (nil: all) lie now; nil: all rows there are.
    func rows(_ wanted: Tensor?, _ backend: any Backend) -> Tensor? {
      guard let places else { return wanted }
      return backend.tensor(wanted.map { backend.integers($0).map { places[Int($0)] } } ?? places)
    }
  }

  /// Puts virtual tokens in front of every sequence, where the language model has any.
  ///
  /// n virtual tokens take the first n positions of every sequence. Those that have embeddings become rows of their own;
  /// all become keys. With a cache they come once, with the first tokens.
  func place(_ embeddings: Tensor, _ batch: TokenBatch, cache: KeyValueCache?, _ context: Context) -> Placed {
    guard let virtualTokens = language.virtualTokens else {
      return Placed(embeddings: embeddings, batch: batch, places: nil)
    }
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
      return Placed(embeddings: embeddings, batch: moved(positions, queries: runs), places: nil)
    }
    let all = runs.flatMap { Array(0..<Int32(count)) + positions[$0] }
    var places: [Int32] = []
    for (index, run) in runs.enumerated() { places += run.map { Int32($0 + (index + 1) * count) } }
    return Placed(
      embeddings: context.prepend(front, to: embeddings, runs: runs), batch: moved(all, queries: keys), places: places)
  }
}

extension Backend {
  /// The numbers of an int32 tensor.
  fileprivate func integers(_ tensor: Tensor) -> [Int32] {
    withBytes(of: tensor) { Array($0.bindMemory(to: Int32.self)) }
  }
}
