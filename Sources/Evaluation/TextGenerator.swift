import Batching
import Datasets
import Ground
import Models
import Modules
import Tensors

/// Continues prompts token by token, many at a time, keeping keys and values of what was seen.
///
/// Every pass takes the whole prompt of each text that joins and the last token of each that is under way, one after
/// another without padding; a text that ends makes room for the next prompt. A text does not depend on those beside it:
/// rows of a product are computed apart, attention stays inside a sequence, and where the device's products do not
/// keep rows apart, texts are written one by one.
public struct TextGenerator {
  /// How much is done at a time.
  public struct Limits: Equatable, Sendable {
    /// Texts that are written together.
    public var texts = 32
    /// Tokens of prompts that join in one pass; one prompt may have more.
    public var promptTokens = 2048
    /// Bytes of keys and values; one text may need more.
    public var cacheBytes = 1 << 30

    public init() {}
  }

  /// Why a text ends where it does.
  public enum Ending: Equatable, Sendable {
    /// With an end token.
    case finished
    /// There was no room for more.
    case cutOff
  }

  /// A text that has been written.
  public struct Text: Equatable, Sendable {
    /// Without the end token.
    public let tokens: [Int]
    public let ending: Ending
  }

  private let model: MultimodalModel
  private let backend: any Backend
  private let features: FeatureCache?
  private let limits: Limits
  /// Tokens that end the text.
  public let endTokens: Set<Int>

  /// - Parameter features: where the prompts' processor keeps them.
  public init(
    _ model: MultimodalModel, endTokens: Set<Int>, features: FeatureCache? = nil, limits: Limits = Limits(),
    _ backend: any Backend
  ) {
    self.model = model
    self.features = features
    self.backend = backend
    self.limits = limits
    self.endTokens = endTokens
  }

  /// The tokens that follow `prompt`, at most `count`, without the end token; each is handed to `onToken` as it comes.
  public func generate(
    _ prompt: Sample, count: Int, sampling: Sampling = Sampling(), onToken: (Int) -> Void = { _ in }
  ) throws -> [Int] {
    var found: [Int] = []
    var left = [prompt]
    try generate(
      from: { left.popLast() }, count: count, sampling: sampling, onToken: { onToken($1) }, onEnd: { found = $1.tokens }
    )
    return found
  }

  /// Continues all prompts, each by at most `count` tokens.
  ///
  /// - Parameters: `next`: gives the prompts, nil after the last; `choices`: which tokens a new text may have; nil: any.
  ///   `onToken` and `onEnd` are told the number of the prompt, from 0; texts end in any order.
  public func generate(
    from next: () throws -> Sample?, count: Int, sampling: Sampling = Sampling(),
    choices: (() -> any TokenChoices)? = nil, onToken: (_ number: Int, _ token: Int) -> Void = { _, _ in },
    onEnd: (_ number: Int, Text) throws -> Void
  ) throws {
    precondition(count > 0, "generate: \(count) tokens")
    let virtual = model.language.virtualTokens?.count ?? 0
    let rowBytes = model.language.layerCount * 2 * model.language.keyWidth * 4
    let cache = KeyValueCache(mostRows: limits.cacheBytes / max(rowBytes, 1))
    let most = backend.computesRowsApart ? limits.texts : 1
    var (active, numbers): ([Writing], Int) = ([], 0)
    var waiting = try next()
    while true {
      var (joining, tokens): ([Sample], Int) = ([], 0)
      while active.count < most, let prompt = waiting,
        joining.isEmpty || tokens + prompt.ids.count <= limits.promptTokens,
        let slot = cache.reserve(virtual + prompt.ids.count + min(count, room(behind: prompt)))
      {
        active.append(
          Writing(number: numbers, slot: slot, promptLength: prompt.ids.count, choices: choices?()))
        joining.append(prompt)
        tokens += prompt.ids.count
        numbers += 1
        waiting = try next()
      }
      guard !active.isEmpty else { return }
      let logits = try pass(active, joining: joining, cache)
      backend.withBytes(of: logits) { bytes in
        let all = bytes.bindMemory(to: Float.self)
        for index in active.indices {
          let row = UnsafeBufferPointer(rebasing: all[index * logits.width..<(index + 1) * logits.width])
          active[index].take(row, sampling, endTokens, onToken)
          if active[index].found.count == count || active[index].position > model.longestSequence ?? .max {
            active[index].cut()
          }
        }
      }
      for text in active where text.ending != nil {
        cache.release(text.slot)
        try onEnd(text.number, Text(tokens: text.found, ending: text.ending ?? .finished))
      }
      active.removeAll { $0.ending != nil }
    }
  }

  /// The logits [V] of the first token after each prompt; as many go through the model together as may.
  ///
  /// They do not depend on those beside them.
  public func firstLogits(_ prompts: [Sample]) throws -> [[Float]] {
    let most = backend.computesRowsApart ? limits.texts : 1
    return try stride(from: 0, to: prompts.count, by: most).flatMap { start -> [[Float]] in
      let some = Array(prompts[start..<min(start + most, prompts.count)])
      let batch = DeviceBatch(try Batch(some), backend, features: features)
      let ends = batch.tokens.sequences.queries.map { Int32($0.upperBound - 1) }
      let context = Context(backend)
      let hidden = model.hidden(
        batch.tokens, imageRows: batch.imageRows, pictures: batch.pictures, rows: backend.tensor(ends), context)
      let logits = model.logits(hidden, context)
      let values = backend.read(logits)
      return some.indices.map { Array(values[$0 * logits.width..<($0 + 1) * logits.width]) }
    }
  }

  /// How many tokens positions reach behind a prompt.
  private func room(behind prompt: Sample) -> Int {
    max(1, (model.longestSequence ?? .max / 2) - prompt.ids.count)
  }

  /// The logits [texts, V] of what follows each text; the last of them are those that join.
  private func pass(_ active: [Writing], joining: [Sample], _ cache: KeyValueCache) throws -> Tensor {
    let old = active.dropLast(joining.count)
    let prompts = try Batch(joining)
    let onDevice = DeviceBatch(prompts, backend, features: features)
    // Prompts come first, so that their pictures lie where the batch says.
    let positions = prompts.positions + old.map { Int32($0.position - 1) }
    let lengths = joining.map(\.ids.count) + old.map { _ in 1 }
    let tokens = TokenBatch(
      ids: backend.tensor(prompts.ids + old.map { Int32($0.found[$0.found.count - 1]) }),
      positions: backend.tensor(positions), positionLimit: Int(positions.max() ?? 0) + 1,
      sequences: Sequences(lengths: lengths))
    cache.begin(active.suffix(joining.count).map(\.slot) + old.map(\.slot))
    let ends = tokens.sequences.queries.map { Int32($0.upperBound - 1) }
    let context = Context(backend)
    let hidden = model.hidden(
      tokens, imageRows: onDevice.imageRows, pictures: onDevice.pictures,
      rows: backend.tensor(Array(ends.dropFirst(joining.count) + ends.prefix(joining.count))), cache: cache, context)
    return model.logits(hidden, context)
  }

  /// A text that is being written.
  private struct Writing {
    let number: Int
    let slot: KeyValueCache.Slot
    let promptLength: Int
    var choices: (any TokenChoices)?
    var found: [Int] = []
    var ending: Ending?

    /// Of the next token.
    var position: Int { promptLength + found.count }

    mutating func take(
      _ logits: UnsafeBufferPointer<Float>, _ sampling: Sampling, _ endTokens: Set<Int>,
      _ onToken: (_ number: Int, _ token: Int) -> Void
    ) {
      let token: Int
      if let choices {
        token = choices.restricted(logits) { sampling.choose($0, draw: found.count) }
      } else {
        token = sampling.choose(logits, draw: found.count)
      }
      guard !endTokens.contains(token) else {
        ending = .finished
        return
      }
      found.append(token)
      onToken(number, token)
      choices?.accept(token)
      if choices?.isComplete == true { ending = .finished }
    }

    mutating func cut() { ending = ending ?? .cutOff }
  }
}

/// Which tokens may come next in one text.
public protocol TokenChoices {
  /// Whether the text is whole and nothing may follow.
  var isComplete: Bool { get }
  /// Hands the logits on, with −∞ at tokens that may not come next.
  func restricted(_ logits: UnsafeBufferPointer<Float>, _ body: (UnsafeBufferPointer<Float>) -> Int) -> Int
  /// Goes on behind a token.
  mutating func accept(_ token: Int)
}
