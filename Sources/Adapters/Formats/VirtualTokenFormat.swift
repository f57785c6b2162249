import Ground
import Models
import Modules
import SafeTensors
import Tensors

/// A method whose files hold one matrix of virtual tokens.
protocol StoredAsVirtualTokens: TuningMethod {
  /// PEFT's `peft_type`.
  static var type: String { get }
  /// The types of methods that can take what these files hold.
  static var readers: [String] { get }
  /// The method that computes what these files hold.
  static func method(tokens: Int) -> any TuningMethod
}

extension StoredAsVirtualTokens {
  static var readers: [String] { [type] }
}

/// Virtual tokens at work in a model.
protocol VirtualTokenTuning: Tuning {
  static var type: String { get }
  /// What the table of parts calls it.
  var name: String { get }
  var tokens: Int { get }
  /// What the configuration says of this method alone.
  func configuration(of adapted: AdaptedModel) -> JSON
  /// The shape of `prompt_embeddings`.
  var storedShape: [Int] { get }
  func stored(_ backend: any Backend) -> Tensor?
  func take(_ values: Tensor, _ backend: any Backend) throws
}

extension VirtualTokenTuning {
  var summary: (method: String, what: String) { (name, "\(tokens) virtual tokens") }

  func check(_ model: MultimodalModel) throws {
    let row = "train.parts.\(part.rawValue)"
    guard !added.isEmpty else {
      throw Fault(
        .badConfiguration, "this language model takes no virtual tokens", at: row + ".train", "train it with lora")
    }
    if let longest = model.language.longestSequence, tokens >= longest {
      throw Fault(
        .badConfiguration, "\(tokens) virtual tokens leave nothing of the model's \(longest) positions",
        at: row + ".tokens", "give fewer")
    }
  }
}

/// Numbers as PyTorch begins with them: a linear layer's within 1/√inputs, an embedding's of the standard normal
/// distribution.
func startAsPyTorch(_ parameter: Parameter, inputs: Int?, _ stream: RandomStream, _ backend: any Backend) {
  let draws = stream.named(parameter.name)
  let bound = inputs.map { 1 / Double($0).squareRoot() }
  let values = (0..<parameter.count).map { index in
    Float(bound.map { (draws.uniform(at: index) * 2 - 1) * $0 } ?? draws.normal(at: index))
  }
  parameter.value = backend.tensor(values, parameter.shape)
}

/// PEFT's layout of prompt learning: `adapter_config.json`, and `prompt_embeddings` in `adapter_model.safetensors`, with
/// parts that are trained whole, such as the projector, beside it as its `modules_to_save`.
enum VirtualTokenFormat<Method: StoredAsVirtualTokens>: AdapterFormat {
  /// PEFT leaves the base model in place under prompt learning: one `model.` less than with LoRA.
  private static var prefix: String { "base_model." }
  private static var matrix: String { "prompt_embeddings" }

  static func wrote(_ configuration: JSON) -> Bool { configuration["peft_type"] == .string(Method.type) }

  /// The tuning among these whose type is one of `types`.
  private static func own(_ tunings: [any Tuning], of types: [String] = [Method.type]) -> (any VirtualTokenTuning)? {
    tunings.lazy.compactMap { $0 as? any VirtualTokenTuning }.first { types.contains(type(of: $0).type) }
  }

  private static func has(_ tunings: [any Tuning], of types: [String]) -> Bool {
    guard let own = own(tunings, of: types) else { return false }
    return tunings.allSatisfy { $0.part == own.part || $0.trainsModules }
  }

  static func holds(_ tunings: [any Tuning]) -> Bool { has(tunings, of: [Method.type]) }
  static func fills(_ tunings: [any Tuning]) -> Bool { has(tunings, of: Method.readers) }

  static func write(
    _ tunings: [any Tuning], of adapted: AdaptedModel, to folder: String, _ backend: any Backend
  ) throws {
    guard let own = own(tunings), let values = own.stored(backend) else { preconditionFailure("write: not asked for") }
    let modules = adapted.savedModules(of: tunings)
    var configuration = own.configuration(of: adapted).object ?? [:]
    let common: JSON = [
      "auto_mapping": nil, "base_model_name_or_path": .string(adapted.folder.path), "inference_mode": true,
      "modules_to_save": modules.isEmpty ? nil : .array(modules.map(JSON.string)),
      "num_transformer_submodules": 1, "num_virtual_tokens": .integer(own.tokens), "peft_type": .string(Method.type),
      "revision": nil, "task_type": adapted.model.classifier == nil ? "CAUSAL_LM" : "SEQ_CLS",
    ]
    for (key, value) in common.object ?? [:] { configuration[key] = value }
    configuration.sort { $0.key < $1.key }
    try writeDurably(JSON.object(configuration).indented, to: folder + "/adapter_config.json")
    let added = Set(own.added.map { ObjectIdentifier($0) })
    let others = adapted.kept(by: tunings).filter { !added.contains(ObjectIdentifier($0)) }.map {
      (prefix + $0.name, $0.value)
    }
    try writeSafeTensors([(matrix, values)] + others, to: folder + "/adapter_model.safetensors", backend)
  }

  static func read(
    _ path: String, into tunings: [any Tuning], of adapted: AdaptedModel, _ backend: any Backend
  ) throws {
    guard let own = own(tunings, of: Method.readers) else { preconditionFailure("read: not asked for") }
    let tokens = try count(path)
    guard tokens == own.tokens else {
      throw Fault(
        .badConfiguration, "train.parts.\(own.part.rawValue).tokens is \(own.tokens), the adapter's is \(tokens)",
        at: path, "give both the same value")
    }
    let files = try WeightFiles(folder: path, name: "adapter_model")
    try own.take(adapted.floats(files, matrix, shape: own.storedShape, backend), backend)
    let names = adapted.model.weightNames
    func name(_ key: String) -> String {
      names.canonical(key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : key)
    }
    let keys = try adapted.newKeys(
      of: files, files.names.filter { $0 != matrix }, name: name, mayChange: { _ in true }, backend)
    try adapted.take(files, keys: keys, name: name, awaiting: adapted.fresh(beside: tunings), backend)
  }

  static func methods(ofAdapter path: String, for folder: ModelFolder) throws -> [ModelPart: any TuningMethod] {
    let tokens = try count(path)
    let method = Method.method(tokens: tokens)
    let tuning = try method.tuning(of: .language)
    try tuning.check(folder.makeModel(transforms: [tuning]))
    // What the configuration says is believed only where the file has it.
    let (shape, wanted) = (
      try WeightFiles(folder: path, name: "adapter_model")[matrix]?.entry.shape,
      (tuning as? any VirtualTokenTuning)?.storedShape
    )
    guard let shape, shape == wanted else {
      throw Fault(
        .badData,
        "'\(matrix)' is \(shape.map { "\($0)" } ?? "missing"), \(tokens) virtual tokens of this model are \(wanted ?? [])",
        at: path, "use the adapter with the model that it was trained on")
    }
    return [.language: method]
  }

  private static func count(_ path: String) throws -> Int {
    let file = path + "/adapter_config.json"
    let json = try JSON(contentsOf: file)
    guard let tokens = json["num_virtual_tokens"]?.integer, (1...65536).contains(tokens) else {
      throw Fault(
        .badData, "'num_virtual_tokens' is \(json["num_virtual_tokens"]?.description ?? "missing")", at: file,
        "use an adapter that PEFT has saved")
    }
    guard json["num_transformer_submodules"].map({ $0.isNull || $0 == 1 }) ?? true else {
      throw Fault(
        .badConfiguration, "'num_transformer_submodules' is \(json["num_transformer_submodules"] ?? .null)", at: file,
        "use an adapter of a model that has a decoder alone")
    }
    return tokens
  }
}
