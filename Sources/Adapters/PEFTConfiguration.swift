import Ground
import Models
import RunFile

/// What `adapter_config.json` of a PEFT adapter says, as far as this program can do it.
public struct PEFTConfiguration: Equatable, Sendable {
  public var rank: Int
  public var alpha: Double
  public var dropout: Double
  public var targets: Targets
  /// Modules that are saved whole, by name or ending.
  public var modulesToSave: [String]
  /// The model folder that the adapter was trained on, as it was named then.
  public var baseModel: String

  public init(
    rank: Int, alpha: Double, dropout: Double, targets: Targets, modulesToSave: [String], baseModel: String
  ) {
    self.rank = rank
    self.alpha = alpha
    self.dropout = dropout
    self.targets = targets
    self.modulesToSave = modulesToSave
    self.baseModel = baseModel
  }

  /// What stands for "no module" where PEFT wants at least one target.
  static let noTarget = "dummy-target-modules"

  public var settings: LoRASettings? {
    targets == .names([PEFTConfiguration.noTarget])
      ? nil : LoRASettings(rank: rank, alpha: alpha, dropout: dropout, targets: targets)
  }
}

extension PEFTConfiguration {
  /// Fields that change what an adapter computes, and the values that mean "not used".
  private static let mustBeUnused: [String: [JSON]] = [
    "use_dora": [false], "use_rslora": [false], "bias": ["none"], "rank_pattern": [[:]], "alpha_pattern": [[:]],
    "layers_to_transform": [[]], "exclude_modules": [[], ""], "trainable_token_indices": [], "lora_bias": [false],
    "use_qalora": [false], "layer_replication": [], "target_parameters": [[]], "alora_invocation_tokens": [],
    "use_bdlora": [false], "arrow_config": [], "megatron_config": [], "kasa_config": [], "monteclora_config": [],
    "velora_config": [],
  ]

  /// Ways to start that take something off the base weights, so that the adapter fits no other model.
  private static let changeTheBase = ["pissa", "olora", "corda", "loftq", "lora_ga"]

  /// - Throws: `Fault` that names the field which is missing, wrong or not supported.
  public init(contentsOf path: String) throws {
    let json = try JSON(contentsOf: path)
    func wrong(_ key: String) -> Fault {
      Fault(
        .badData, "'\(key)' is \(json[key]?.description ?? "missing")", at: path, "use an adapter that PEFT has saved")
    }
    guard json["peft_type"] == "LORA" else {
      throw Fault(
        .badConfiguration, "'peft_type' \(json["peft_type"] ?? .null) is not supported", at: path, "use a LoRA adapter")
    }
    for (key, unused) in PEFTConfiguration.mustBeUnused.sorted(by: { $0.key < $1.key }) {
      guard let value = json[key], !value.isNull, !unused.contains(value) else { continue }
      throw Fault(
        .badConfiguration, "'\(key)': \(value) is not supported", at: path, "use an adapter that was trained without it"
      )
    }
    if let start = json["init_lora_weights"]?.string,
      PEFTConfiguration.changeTheBase.contains(where: start.lowercased().hasPrefix)
    {
      throw Fault(
        .badConfiguration, "'init_lora_weights': \"\(start)\" is not supported", at: path,
        "save the adapter with PEFT's path_initial_model_for_weight_conversion, which makes it an ordinary one")
    }
    guard let rank = json["r"]?.integer, (1...65536).contains(rank) else { throw wrong("r") }
    guard let alpha = json["lora_alpha"]?.double, alpha.isFinite else { throw wrong("lora_alpha") }
    self.rank = rank
    self.alpha = alpha
    dropout = json["lora_dropout"]?.double ?? 0
    switch json["target_modules"] {
    case .string("all-linear"): targets = .allLinear
    case .string(PEFTConfiguration.noTarget): targets = .names([PEFTConfiguration.noTarget])
    case .string(let pattern): targets = .pattern(pattern)
    case .array(let names): targets = .names(names.compactMap(\.string))
    default: throw wrong("target_modules")
    }
    modulesToSave = (json["modules_to_save"]?.array ?? []).compactMap(\.string)
    baseModel = json["base_model_name_or_path"]?.string ?? ""
  }

  /// The file as PEFT writes it; `fanInFanOut` for weights stored [in, out].
  func json(fanInFanOut: Bool, isClassifier: Bool = false) -> JSON {
    let targetModules: JSON
    switch targets {
    case .allLinear: targetModules = "all-linear"
    case .names([PEFTConfiguration.noTarget]): targetModules = .string(PEFTConfiguration.noTarget)
    case .pattern(let pattern): targetModules = .string(pattern)
    case .names(let names): targetModules = .array(names.map(JSON.string))
    }
    return [
      "alpha_pattern": [:], "auto_mapping": nil, "base_model_name_or_path": .string(baseModel), "bias": "none",
      "exclude_modules": nil, "fan_in_fan_out": .bool(fanInFanOut), "inference_mode": true, "init_lora_weights": true,
      "layer_replication": nil, "layers_pattern": nil, "layers_to_transform": nil,
      "lora_alpha": alpha == alpha.rounded() ? .integer(Int(alpha)) : .number(alpha), "lora_bias": false,
      "lora_dropout": .number(dropout),
      "modules_to_save": modulesToSave.isEmpty ? nil : .array(modulesToSave.map(JSON.string)), "peft_type": "LORA",
      "r": .integer(rank), "rank_pattern": [:], "revision": nil, "target_modules": targetModules,
      "task_type": isClassifier ? "SEQ_CLS" : nil,
      "use_dora": false, "use_rslora": false,
    ]
  }
}
