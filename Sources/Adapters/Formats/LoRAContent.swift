import Foundation
import Ground
import Models
import Modules
import RunFile
import SafeTensors
import Tensors

/// What an adapter of PEFT's holds of the parts that it is for: low-rank updates, and parts that are trained whole.
struct LoRAContent {
  private let adapted: AdaptedModel
  private let tunings: [any Tuning]
  private let lora: [LoRA]
  /// All layers that have low-rank updates, in the order of the forward pass.
  let layers: [LoRALinear]
  private var model: MultimodalModel { adapted.model }

  init(_ adapted: AdaptedModel, _ tunings: [any Tuning]) {
    self.adapted = adapted
    self.tunings = tunings
    lora = tunings.compactMap { $0 as? LoRA }
    layers = lora.flatMap(\.layers)
  }

  /// All parameters that it holds: what is trained, and all of a part of which something is trained as it is, since PEFT
  /// takes whole modules.
  private var parameters: [Parameter] {
    let kept = Set(adapted.kept(by: tunings).map { ObjectIdentifier($0) })
    return model.parameters.filter { kept.contains(ObjectIdentifier($0)) || trains($0) || savesBias($0) }
  }

  /// Whether it holds a parameter.
  func holds(_ parameter: Parameter) -> Bool { parameters.contains { $0 === parameter } }

  /// What must not be without a key: what is trained, but for parts that are saved whole.
  var expected: [Parameter] { lora.flatMap(\.added) + model.parameters.filter { trains($0) || savesBias($0) } }

  private func trains(_ parameter: Parameter) -> Bool {
    lora.contains { $0.part == MultimodalModel.part(of: parameter.name) && $0.trains(parameter) }
  }

  /// The run's settings must be the adapter's.
  func checkAgreement(with adapter: PEFTConfiguration, _ path: String) throws {
    let theirs = try LoRASelection(adapter.lora)
    for tuning in lora {
      let settings = tuning.settings
      func agree<Value: Equatable>(_ key: String, _ own: Value, _ other: Value) throws {
        guard own != other else { return }
        throw Fault(
          .badConfiguration, "train.parts.\(tuning.part.rawValue).\(key) is \(own), the adapter's is \(other)",
          at: path, "give both the same value")
      }
      try agree("rslora", settings.isRankStabilised, adapter.lora.isRankStabilised)
      try agree("dora", settings.hasMagnitudes, adapter.lora.hasMagnitudes)
      if savedBiases != adapter.lora.biases {
        try agree("bias", settings.biases.rawValue, adapter.lora.biases.rawValue)
      }
      for layer in tuning.layers {
        let (rank, alpha) = (theirs.rank(of: layer.base.path), theirs.alpha(of: layer.base.path))
        try agree(layer.rank == settings.rank ? "rank" : "rank_pattern", layer.rank, rank)
        try agree(layer.alpha == settings.alpha ? "alpha" : "alpha_pattern", layer.alpha, alpha)
      }
    }
    try checkLayers(of: adapter, path)
  }

  /// The layers with updates must be those of the adapter, by its configuration or by its keys: where these two differ
  /// from each other it is the file that is damaged.
  private func checkLayers(of adapter: PEFTConfiguration, _ path: String) throws {
    let (all, own) = (model.linears.map(\.path), Set(layers.map(\.base.path)))
    guard try Set(adapter.wrapped(among: all)) != own else { return }
    let known = Set(model.parameters.map(\.name))
    var theirs: Set<String> = []
    // Whether a key names what the run has not.
    var isOther = false
    for key in try WeightFiles(folder: path, name: "adapter_model").names
    where LoRAFormat.isUpdate(key) && !LoRAFormat.isFromBefore(key) {
      let name = LoRAFormat.parameterName(of: key, model.weightNames)
      theirs.insert(LoRAFormat.module(ofUpdate: name))
      isOther = isOther || !known.contains(name)
    }
    for layer in all where own.contains(layer) != theirs.contains(layer) {
      guard isOther || own.contains(layer) else { continue }
      let part = MultimodalModel.part(of: layer)
      let row = "train.parts.\(part.rawValue)"
      let method = tunings.first { $0.part == part }.map { $0.trainsModules ? "full" : "lora" } ?? "frozen"
      let remedy = "give the run file the method and targets that the adapter was trained with"
      guard layers.contains(where: { MultimodalModel.part(of: $0.base.path) == part }) else {
        throw Fault(.badConfiguration, "\(row).train is \(method), the adapter's is lora", at: path, remedy)
      }
      guard theirs.contains(where: { MultimodalModel.part(of: $0) == part }) else {
        throw Fault(.badConfiguration, "\(row).train is lora, and the adapter has none of this part", at: path, remedy)
      }
      let (mine, other) = own.contains(layer) ? ("has", "leaves it out") : ("leaves out", "has it")
      throw Fault(.badConfiguration, "\(row).targets \(mine) \(layer), the adapter's \(other)", at: path, remedy)
    }
  }

  /// What `adapter_config.json` is to say.
  func configuration() throws -> PEFTConfiguration {
    let whole = adapted.savedModules(of: tunings)
    guard var settings = lora.first?.settings, !layers.isEmpty else {
      var none = LoRASettings(rank: 1, alpha: 1, dropout: 0, targets: .names([PEFTConfiguration.noTarget]))
      none.modulesToSave = whole
      return PEFTConfiguration(none, baseModel: adapted.folder.path)
    }
    settings.start = .standard
    settings.biases = savedBiases
    settings.modulesToSave =
      whole + (model.isMultimodal ? savedModules : settings.modulesToSave.filter { !whole.contains($0) })
    if !isSaid(by: settings) { try say(layers, in: &settings) }
    return PEFTConfiguration(settings, baseModel: adapted.folder.path)
  }

  /// Whether PEFT, which knows no parts and sorts patterns when it saves them, takes these settings for what they are here.
  private func isSaid(by settings: LoRASettings) -> Bool {
    guard lora.count == 1, !model.isMultimodal, layers.allSatisfy({ $0.origin == nil }) else { return false }
    if settings.layers != nil, case .names = settings.targets {} else if settings.layers != nil { return false }
    var sorted = settings
    sorted.rankPattern.rows.sort { $0.pattern < $1.pattern }
    sorted.alphaPattern.rows.sort { $0.pattern < $1.pattern }
    guard let selection = try? LoRASelection(sorted) else { return false }
    return layers.allSatisfy {
      selection.rank(of: $0.base.path) == $0.rank && selection.alpha(of: $0.base.path) == $0.alpha
    }
  }

  /// Says exactly which layers are wrapped and with what: a name like q_proj would hit every part.
  ///
  /// A layer whose weight gave something up is saved with twice the rank, see ``tensors(_:)``.
  private func say(_ layers: [LoRALinear], in settings: inout LoRASettings) throws {
    let stabilised = settings.isRankStabilised
    func rank(_ layer: LoRALinear) -> Int { layer.rank * (layer.origin == nil ? 1 : 2) }
    func alpha(_ layer: LoRALinear) -> Double {
      layer.alpha * (layer.origin == nil ? 1 : stabilised ? 2.0.squareRoot() : 2)
    }
    func rows<Value: Hashable>(_ value: (LoRALinear) -> Value, but common: Value) throws -> PatternTable<Value> {
      var order: [Value] = []
      for layer in layers where value(layer) != common && !order.contains(value(layer)) { order.append(value(layer)) }
      return PatternTable(
        try order.map { own in
          let paths = layers.filter { value($0) == own }.map(\.base.path)
          return .init(try pattern(for: paths, among: layers.map(\.base.path)), own)
        })
    }
    settings.rank = layers.first.map(rank) ?? settings.rank
    settings.alpha = layers.first.map(alpha) ?? settings.alpha
    settings.rankPattern = try rows(rank, but: settings.rank)
    settings.alphaPattern = try rows(alpha, but: settings.alpha)
    settings.targets = .pattern(try pattern(for: layers.map(\.base.path), among: model.linears.map(\.path)))
    (settings.layers, settings.excluded) = (nil, nil)
  }

  /// An expression that matches exactly these paths of `all`; layer numbers are gathered where that matches no other.
  private func pattern(for paths: [String], among all: [String]) throws -> String {
    var shapes: [String] = []
    for path in paths {
      let shape = path.split(separator: ".").map { Int($0) == nil ? String($0) : "\\d+" }.joined(separator: "\\.")
      if !shapes.contains(shape) { shapes.append(shape) }
    }
    let gathered = "(" + shapes.joined(separator: "|") + ")"
    let matches = try Targets.pattern(gathered).matcher()
    if Set(all.filter { matches($0, false) }) == Set(paths) { return gathered }
    return "(" + paths.map { $0.replacingOccurrences(of: ".", with: "\\.") }.joined(separator: "|") + ")"
  }

  /// The most that any part asks for: PEFT knows one answer for the whole model.
  private var savedBiases: TrainedBiases {
    let asked = lora.map(\.settings.biases)
    return asked.contains(.all) ? .all : asked.contains(.wrapped) ? .wrapped : .none
  }

  /// The modules of the parts with updates that are saved whole, by their whole paths.
  private var savedModules: [String] {
    var paths: [String] = []
    for tuning in lora {
      for parameter in model.parameters where MultimodalModel.part(of: parameter.name) == tuning.part {
        let outermost = modules(of: parameter.name, endingLike: tuning.settings.modulesToSave).first
        if let outermost, !paths.contains(outermost) { paths.append(outermost) }
      }
    }
    return paths
  }

  /// Whether an adapter of this model holds a bias, as PEFT decides it.
  private func savesBias(_ parameter: Parameter) -> Bool {
    switch savedBiases {
    case .none: false
    case .all: parameter.name.hasSuffix(".bias")
    case .wrapped: layers.contains { $0.base.bias === parameter }
    }
  }

  /// The tensors of an adapter by their names in PEFT's files.
  ///
  /// A layer whose weight gave up s B₀ A₀ is saved as an update of the whole weight, of twice the rank, as PEFT converts
  /// such adapters: s B A − s B₀ A₀ = s [B, −B₀] [A; A₀].
  func tensors(_ backend: any Backend) -> [(name: String, value: Tensor)] {
    var values: [ObjectIdentifier: Tensor] = [:]
    var names: [ObjectIdentifier: String] = [:]
    for layer in layers {
      if let bias = layer.base.bias { names[ObjectIdentifier(bias)] = layer.base.path + ".base_layer.bias" }
      guard let origin = layer.origin else { continue }
      values[ObjectIdentifier(layer.down)] = backend.joinRows([layer.down.value, origin.down])
      values[ObjectIdentifier(layer.up)] = backend.joinColumns([layer.up.value, backend.scale(origin.up, by: -1)])
    }
    return parameters.map { parameter in
      let id = ObjectIdentifier(parameter)
      return (names[id] ?? parameter.name, values[id] ?? parameter.value)
    }
  }
}
