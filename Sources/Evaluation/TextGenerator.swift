import Batching
import Datasets
import Foundation
import Ground
import Models
import Modules
import Tensors
import Tokenizers

/// How the next token is chosen.
public struct Sampling: Equatable, Sendable {
  /// 0: the most likely token, always.
  public var temperature: Double
  /// Only the most likely tokens whose probabilities add up to this much.
  public var topP: Double
  public var seed: UInt64

  public init(temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0) {
    self.temperature = temperature
    self.topP = topP
    self.seed = seed
  }
}

/// Continues a prompt token by token, keeping keys and values of what was seen.
public struct TextGenerator {
  private let model: MultimodalModel
  private let backend: any Backend
  private let features: FeatureCache?
  /// Tokens that end the text.
  public let endTokens: Set<Int>

  /// - Parameter features: where the prompts' processor keeps them.
  public init(_ model: MultimodalModel, endTokens: Set<Int>, features: FeatureCache? = nil, _ backend: any Backend) {
    self.model = model
    self.features = features
    self.backend = backend
    self.endTokens = endTokens
  }

  /// The tokens that follow `prompt`, at most `count`, without the end token; each is handed to `onToken` as it comes.
  public func generate(
    _ prompt: Sample, count: Int, sampling: Sampling = Sampling(), onToken: (Int) -> Void = { _ in }
  ) throws -> [Int] {
    let (cache, context) = (KeyValueCache(), Context(backend))
    let batch = DeviceBatch(try Batch([prompt]), backend, features: features)
    var hidden = model.hidden(
      batch.tokens, imageRows: batch.imageRows, pictures: batch.pictures, cache: cache, context)
    var found: [Int] = []
    while found.count < count {
      let last = hidden.slice(hidden.rows - 1..<hidden.rows)
      let token = choose(backend.read(model.logits(last, context)), sampling, draw: found.count)
      if endTokens.contains(token) { break }
      found.append(token)
      onToken(token)
      let position = prompt.ids.count + found.count - 1
      if found.count == count || position >= model.longestSequence ?? .max { break }
      let next = TokenBatch(
        ids: backend.tensor([Int32(token)]), positions: backend.tensor([Int32(position)]), positionLimit: position + 1,
        sequences: Sequences(queries: [0..<1], keys: [0..<position + 1]))
      hidden = model.hidden(next, imageRows: nil, pictures: nil, cache: cache, context)
    }
    return found
  }

  /// The logits [V] of the first token after `prompt`.
  public func firstLogits(_ prompt: Sample) throws -> [Float] {
    let context = Context(backend)
    let batch = DeviceBatch(try Batch([prompt]), backend, features: features)
    let hidden = model.hidden(batch.tokens, imageRows: batch.imageRows, pictures: batch.pictures, context)
    return backend.read(model.logits(hidden.slice(hidden.rows - 1..<hidden.rows), context))
  }

  private func choose(_ logits: [Float], _ sampling: Sampling, draw: Int) -> Int {
    guard sampling.temperature > 0 else {
      return logits.indices.max { logits[$0] < logits[$1] || (logits[$0] == logits[$1] && $0 > $1) } ?? 0
    }
    let top = Double(logits.max() ?? 0)
    let weights = logits.map { exp((Double($0) - top) / sampling.temperature) }
    let total = weights.reduce(0, +)
    let order = weights.indices.sorted { weights[$0] > weights[$1] || (weights[$0] == weights[$1] && $0 < $1) }
    var (kept, mass): ([Int], Double) = ([], 0)
    for index in order {
      kept.append(index)
      mass += weights[index]
      if mass >= sampling.topP * total { break }
    }
    var rest = RandomStream([sampling.seed]).uniform(at: draw) * mass
    for index in kept {
      rest -= weights[index]
      if rest < 0 { return index }
    }
    return kept[kept.count - 1]
  }
}

/// The tokens that end a model's turn, as its files say: `generation_config.json`, `config.json`, and the template's own.
public func endTokens(modelFolder: String, _ tokenizer: Tokenizer, _ template: ChatTemplate?) throws -> Set<Int> {
  var found: Set<Int> = []
  func add(_ json: JSON?) {
    for value in json?.array ?? [json ?? .null] { if let id = value.integer { found.insert(id) } }
  }
  if let generation = try? JSON(contentsOf: modelFolder + "/generation_config.json") { add(generation["eos_token_id"]) }
  let configuration = try JSON(contentsOf: modelFolder + "/config.json")
  add(configuration["eos_token_id"])
  add(configuration["text_config"]?["eos_token_id"])
  if let template {
    let trained = try template.renderForTraining(
      [ChatMessage(role: "user", text: "a"), ChatMessage(role: "assistant", text: "b")],
      endTokens: Set(tokenizer.specialTokens.keys))
    // What the model learns to say last in its turn ends the turn.
    if let span = trained.supervised.last {
      let bytes = Array(trained.text.utf8)[span]
      let ids = try tokenizer.encode(String(decoding: bytes, as: UTF8.self), addSpecialTokens: false).ids
      if let last = ids.last, tokenizer.specialTokens.values.contains(last) { found.insert(last) }
    }
  }
  return found
}
