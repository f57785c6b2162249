import Adapters
import Batching
import Datasets
import Foundation
import Ground
import Models
import RunFile
import Tensors
import TestSupport

/// The variants of LoRA, as `make_lora_family.py` has them.
enum LoRAFamily {
  static let names = [
    "gpt2-patterns", "gpt2-dora", "llava-dora", "llava-modules", "gpt2-biases", "gpt2-pissa",
  ]

  static func folder(_ name: String) -> String { Golden.fixtures + "/lora-family/" + name }

  /// The name that parameters are sorted by, in both programs.
  static func place(_ name: String) -> String {
    "base_model.model." + (name.hasSuffix(".weight") ? String(name.dropLast(7)) : name)
  }

  /// The fractions of (i + 1)·φ + k·ψ, doubled and less 1.
  static func spread(_ tensor: Int, _ count: Int) -> [Float] {
    (0..<count).map { index in
      let number = Double(index + 1) * 0.6180339887498949 + Double(tensor) * 0.7548776662466927
      return Float(number.truncatingRemainder(dividingBy: 1) * 2 - 1)
    }
  }

  static func sorted(_ adapted: AdaptedModel) -> [Parameter] {
    adapted.trainable.sorted { place($0.name).utf8.lexicographicallyPrecedes(place($1.name).utf8) }
  }
}

extension GoldenRun {
  var isPiSSA: Bool { figures["lora"]?["init_lora_weights"] == "pissa" }

  func familyMethods() -> [ModelPart: any TuningMethod] {
    guard let lora = figures["lora"] else { return [:] }
    let parts = ModelPart.allCases.filter { setting["parts"]?[$0.rawValue] != nil }
    func targets(_ key: String) -> Targets? {
      lora[key]?.string.map(Targets.pattern) ?? lora[key]?.array.map { .names($0.compactMap(\.string)) }
    }
    /// PEFT's patterns are for all parts; those that name the vision tower are of no use to the others.
    func rows<Value>(_ key: String, _ part: ModelPart, _ value: (JSON) -> Value?) -> PatternTable<Value> {
      let all = (lora[key]?.object ?? [:]).compactMap { pattern, json in
        value(json).map { PatternTable<Value>.Row(pattern, $0) }
      }
      return PatternTable(all.filter { parts.count == 1 || $0.pattern.contains("vision") == (part == .vision) })
    }
    var methods: [ModelPart: any TuningMethod] = [:]
    for part in parts {
      var settings = LoRASettings(
        rank: lora["r"]?.integer ?? 0, alpha: lora["lora_alpha"]?.double ?? 0, dropout: dropout,
        targets: self.targets ?? targets("target_modules") ?? .allLinear)
      settings.excluded = lora["exclude_modules"]?.array == nil ? nil : targets("exclude_modules")
      settings.layers = lora["layers_to_transform"]?.array.map { LayerSet($0.compactMap(\.integer)) }
      settings.rankPattern = rows("rank_pattern", part, \.integer)
      settings.alphaPattern = rows("alpha_pattern", part, \.double)
      settings.isRankStabilised = lora["use_rslora"] == true
      settings.hasMagnitudes = lora["use_dora"] == true
      settings.biases = lora["bias"]?.string.flatMap(TrainedBiases.init) ?? .none
      settings.modulesToSave = (lora["modules_to_save"]?.array ?? []).compactMap(\.string)
      if isPiSSA { settings.start = .pissa(iterations: nil) }
      methods[part] = settings
    }
    return methods
  }

  /// The numbers that the reference starts from.
  func spreadStart(_ adapted: AdaptedModel, _ backend: any Backend) {
    guard !isPiSSA else { return }
    for (index, parameter) in LoRAFamily.sorted(adapted).enumerated() {
      let (noise, before) = (LoRAFamily.spread(index, parameter.count), backend.read(parameter.value))
      let name = parameter.name
      let values: [Float] = zip(noise, before).map { noise, before in
        if name.contains("lora_A") { return noise * Float(pow(Double(parameter.shape[1]), -0.5)) }
        if name.contains("lora_B") { return noise * 0.05 }
        if name.hasSuffix("lora_magnitude_vector") { return before * (1 + 0.1 * noise) }
        return before + 0.02 * noise
      }
      parameter.value = backend.tensor(values, parameter.shape)
    }
  }

  /// The gradients of the mean loss over a step's records, by micro-batch.
  func gradients(_ adapted: AdaptedModel, records: [Int], _ backend: any Backend) throws -> [String: [Double]] {
    let imageToken = adapted.model.eyes?.imageTokenID
    var (sums, tokens) = ([String: [Double]](), 0)
    let size = setting["micro_batch"]?.integer ?? 1
    for start in stride(from: 0, to: records.count, by: size) {
      let chosen = records[start..<min(start + size, records.count)]
      let batch = try Batch(chosen.map { try golden.sample($0, imageToken: imageToken) })
      tokens += batch.supervised
      let (context, onDevice) = (Context(backend, recording: true), DeviceBatch(batch, backend))
      let hidden = adapted.model.hidden(
        onDevice.tokens, imageRows: onDevice.imageRows, pictures: onDevice.pictures, rows: onDevice.targetRows, context)
      let (sum, _) = adapted.model.crossEntropy(hidden, targets: onDevice.targets, context)
      context.backward(from: sum, seed: backend.tensor([1], [1])) { parameter, gradient in
        let own = backend.read(gradient).map(Double.init)
        sums[parameter.name] = sums[parameter.name].map { zip($0, own).map(+) } ?? own
      }
    }
    return sums.mapValues { $0.map { $0 / Double(tokens) } }
  }

  /// Each record's negative log-likelihood.
  func nlls(_ model: MultimodalModel, _ backend: any Backend) throws -> [Double] {
    try golden.records.indices.map { index in
      let sample = try golden.sample(index, imageToken: model.eyes?.imageTokenID)
      let (context, batch) = (Context(backend), DeviceBatch(try Batch([sample]), backend))
      let hidden = model.hidden(
        batch.tokens, imageRows: batch.imageRows, pictures: batch.pictures, rows: batch.targetRows, context)
      return backend.read(model.crossEntropy(hidden, targets: batch.targets, context).nll).reduce(0) { $0 + Double($1) }
    }
  }
}
