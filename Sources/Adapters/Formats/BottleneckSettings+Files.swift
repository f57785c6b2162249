import Ground
import RunFile
import SafeTensors
import Tensors

/// What `adapter_config.json` of the `adapters` library says of a bottleneck adapter.
extension BottleneckSettings {
  /// What changes what an adapter computes, and the values that mean "not used".
  private static let unused: [String: [JSON]] = [
    "ln_before": [false], "ln_after": [false], "use_gating": [false], "phm_layer": [false], "inv_adapter": [],
    "cross_adapter": [false], "original_ln_after": [true], "residual_before_ln": [true], "stochastic_depth": [0],
    "adapter_residual_before_ln": [false], "architecture": [],
  ]

  /// What an `adapter_config.json` of the library says.
  /// - Throws: `Fault` that names the field which is missing, wrong or not supported.
  init(savedTo path: String) throws {
    let file = path + "/adapter_config.json"
    guard let json = try JSON(contentsOf: file)["config"], json.object != nil else {
      throw Fault(.badData, "'config' is missing", at: file, "use an adapter that the library has saved")
    }
    for (key, allowed) in BottleneckSettings.unused.sorted(by: { $0.key < $1.key }) {
      guard let value = json[key], !value.isNull,
        !allowed.contains(where: { $0 == value || $0.double == value.double && $0.double != nil })
      else { continue }
      throw Fault(
        .badConfiguration, "'\(key)': \(value) is not supported", at: file,
        "use a bottleneck adapter that was trained without it")
    }
    func number(_ key: String, _ standard: Double?) throws -> Double {
      if let value = json[key]?.double ?? (json[key] == nil ? standard : nil), value.isFinite { return value }
      throw Fault(.badConfiguration, "'\(key)' is \(json[key] ?? .null)", at: file, "give one number")
    }
    self.init(json["is_parallel"] == true ? .parallel : json["original_ln_before"] == true ? .pfeiffer : .houlsby)
    afterAttention = json["mh_adapter"] == true
    afterFeedForward = json["output_adapter"] == true
    sumsFirst = json["original_ln_before"] == true && !isParallel
    reduction = try number("reduction_factor", nil)
    scaling = try number("scaling", 1)
    dropout = try number("dropout", 0)
    startsAtZero = json["init_weights"] == "mam_adapter"
    activation = json["non_linearity"]?.string?.lowercased() ?? ""
    leftOut = Set((json["leave_out"]?.array ?? []).compactMap(\.integer))
    guard Activation(named: activation) != nil, reduction >= 1e-3, dropout >= 0, dropout < 1,
      afterAttention || afterFeedForward
    else {
      throw Fault(
        .badConfiguration, "'non_linearity' \(activation), 'reduction_factor' \(reduction), 'dropout' \(dropout)",
        at: file, "use gelu, relu, silu or swish, a positive factor, and adapters somewhere")
    }
    // What the configuration says is believed only where the file has it.
    let weights = try BottleneckFormat.weights(of: path)
    for (key, entry) in weights.entries where key.hasSuffix(".adapter_down.0.weight") {
      guard entry.shape.count == 2, entry.shape[0] == width(of: entry.shape[1]) else {
        throw Fault(
          .badData, "'\(key)' is \(entry.shape), which is no reduction by \(reduction)", at: weights.path,
          "use an adapter that the library has saved")
      }
    }
  }

  /// The `config` of `adapter_config.json`, as the library writes it.
  func json(layers: [Int]) -> JSON {
    let without = layers.filter { leftOut.contains($0) || !(self.layers?.contains($0) ?? true) }
    return [
      "adapter_residual_before_ln": false, "cross_adapter": false, "dropout": .number(dropout),
      "factorized_phm_W": true, "factorized_phm_rule": false, "hypercomplex_nonlinearity": "glorot-uniform",
      "init_weights": startsAtZero ? "mam_adapter" : "bert", "init_weights_seed": nil, "inv_adapter": nil,
      "inv_adapter_reduction_factor": nil, "is_parallel": .bool(isParallel), "learn_phm": true,
      "leave_out": .array(without.map(JSON.integer)), "ln_after": false, "ln_before": false,
      "mh_adapter": .bool(afterAttention), "non_linearity": .string(activation), "original_ln_after": true,
      "original_ln_before": .bool(sumsFirst), "output_adapter": .bool(afterFeedForward), "phm_bias": true,
      "phm_c_init": "normal", "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": false, "phm_rank": 1,
      "reduction_factor": reduction == reduction.rounded() ? .integer(Int(reduction)) : .number(reduction),
      "residual_before_ln": true, "scaling": .number(scaling), "shared_W_phm": false, "shared_phm_rule": true,
      "stochastic_depth": 0.0, "use_gating": false,
    ]
  }
}
