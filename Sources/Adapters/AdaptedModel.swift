import Foundation
import Ground
import Models
import Modules
import Tensors

/// A model with what is trained in it: updates of its layers, whole parts, or nothing.
public final class AdaptedModel {
  public let folder: ModelFolder
  public let model: MultimodalModel
  /// All that is at work in the model, in the order of the parts.
  public let tunings: [any Tuning]
  /// What is trained in any stage or came with an adapter, first used first: what a checkpoint holds of the model.
  public let tuned: [Parameter]
  private let stages: [Stage]
  /// What the model's files and the model did not agree on, once its weights are read.
  public internal(set) var loadReport = LoadReport()
  /// Whether a run goes on from what was read: then an adapter may change only what checkpoints hold.
  private(set) var isForTraining = true

  /// Builds the model; its parameters have no values yet.
  ///
  /// - Parameters:
  ///   - methods: of each part; a part that is not named is frozen.
  ///   - quantised: the parts whose matrices are kept as 4-bit codes.
  /// - Throws: `Fault` for a configuration that is not supported, a target that matches nothing, a method for a part
  ///   that the model does not have.
  public convenience init(
    _ folder: ModelFolder, methods: [ModelPart: any TuningMethod], quantised: Set<ModelPart> = []
  ) throws {
    try self.init(folder, stages: [methods], quantised: quantised)
  }

  /// Builds the model with all that any of several stages needs; the first stage has begun.
  ///
  /// - Parameter carried: parts that an adapter brings whole, see ``wholeParts(ofAdapter:)``. Where no stage trains them
  ///   they stay as it has them, and every checkpoint and adapter holds them.
  /// - Throws: as `init(_:methods:)`, and for stages that want different things of one part.
  public init(
    _ folder: ModelFolder, stages methods: [[ModelPart: any TuningMethod]], quantised: Set<ModelPart> = [],
    carried: Set<ModelPart> = []
  ) throws {
    self.folder = folder
    let plan = try StagePlan(methods)
    let quantize = Quantize(quantised)
    model = try folder.makeModel(transforms: [quantize] + plan.tunings)
    // A language model alone has no other part to train: rows for them say nothing.
    let isMultimodal = model.isMultimodal
    let working = plan.tunings.filter { isMultimodal || $0.part == .language }
    let left = ModelPart.allCases.filter { part in
      carried.contains(part) && isMultimodal
        && !working.contains { $0.part == part && ($0.trainsModules || !$0.added.isEmpty) }
    }
    tunings = working + left.map(Carried.init)
    for tuning in tunings { try tuning.check(model) }
    stages = plan.stages.map { [model] tunings in
      let own = tunings.filter { isMultimodal || $0.part == .language }
      return Stage(
        tunings: own.map { tuning in left.contains(tuning.part) ? Carried(part: tuning.part) : tuning }, of: model)
    }
    let ever = Set(stages.flatMap(\.trained).map { ObjectIdentifier($0) })
    tuned = model.parameters.filter {
      ever.contains(ObjectIdentifier($0)) || left.contains(MultimodalModel.part(of: $0.name))
    }
    try quantize.check(model, tuned: tuned)
    begin(stage: 0)
  }

  /// How the parts are tuned in one stage, and which parameters that trains.
  private struct Stage {
    let tunings: [any Tuning]
    let trained: [Parameter]

    init(tunings: [any Tuning], of model: MultimodalModel) {
      self.tunings = tunings
      let frozen = Set(tunings.flatMap(\.frozenAdditions).map { ObjectIdentifier($0) })
      var added = Set(tunings.flatMap(\.added).map { ObjectIdentifier($0) }).subtracting(frozen)
      // Whatever is added to a model that gives labels, the layer that gives them is trained with it.
      let isOnFrozenFeatures = model.classifier?.frozen != nil
      if isOnFrozenFeatures || tunings.contains(where: { $0.part == .language && !$0.added.isEmpty }) {
        added.formUnion(model.headParameters.map { ObjectIdentifier($0) })
      }
      trained = model.parameters.filter { parameter in
        let part = MultimodalModel.part(of: parameter.name)
        return added.contains(ObjectIdentifier(parameter))
          || !frozen.contains(ObjectIdentifier(parameter))
            && tunings.contains { $0.part == part && $0.trains(parameter) }
      }
    }
  }

  /// Makes trainable what a stage trains, and nothing else.
  public func begin(stage: Int) {
    let trained = Set(stages[stage].trained.map { ObjectIdentifier($0) })
    for parameter in model.parameters { parameter.isTrainable = trained.contains(ObjectIdentifier(parameter)) }
    present = stage
  }

  /// The stage that is under way.
  private var present = 0

  /// Reads the weights and, where given, an adapter; what the methods add starts from `seed`.
  /// - Parameters:
  ///   - converted: see ``ModelFolder/loadWeights(into:backend:precision:converted:isFresh:)``.
  ///   - isForTraining: whether a run goes on from here.
  public func loadWeights(
    adapter: String?, seed: UInt64, precision: DType, converted: WeightConversion.Provider? = nil,
    isForTraining: Bool = true, backend: any Backend
  ) throws {
    self.isForTraining = isForTraining
    let added = Set(tunings.flatMap(\.added).map { ObjectIdentifier($0) })
    // What a later stage trains gets memory of its own now.
    for parameter in tuned { parameter.isTrainable = true }
    defer { begin(stage: present) }
    loadReport = try folder.loadWeights(
      into: model, backend: backend, precision: precision, converted: converted, seed: seed
    ) { added.contains(ObjectIdentifier($0)) }
    for tuning in tunings { try tuning.initialise(seed: seed, in: self, backend) }
    if let adapter { try loadAdapter(adapter, backend: backend) }
  }

  /// Of ``tuned``, what starts as it was read or drawn. What is computed from the weights (PiSSA, OLoRA, the lengths of
  /// DoRA's rows) may have other last bits on a processor of another kind.
  public var startsAsRead: [Parameter] {
    let computed = lora.flatMap { tuning in
      tuning.layers.flatMap { layer in
        (tuning.settings.start.changesWeight ? [layer.down, layer.up] : []) + [layer.magnitude].compactMap(\.self)
      }
    }
    let left = Set(computed.map { ObjectIdentifier($0) })
    return tuned.filter { !left.contains(ObjectIdentifier($0)) }
  }

  /// The tunings by low-rank updates.
  var lora: [LoRA] { tunings.compactMap { $0 as? LoRA } }
  /// All layers that have low-rank updates, in the order of the forward pass.
  public var lowRankLayers: [LoRALinear] { lora.flatMap(\.layers) }

  /// What the present stage trains, first used first.
  public var trainable: [Parameter] { model.parameters.filter(\.isTrainable) }

  /// `trainable params: 294,912 || all params: 124,734,720 || trainable%: 0.2364`, as PEFT prints it, each
  /// parameter counted once.
  public var parameterLine: String {
    let all = model.parameters.reduce(0) { $0 + $1.count }
    let trained = trainable.reduce(0) { $0 + $1.count }
    let share = all == 0 ? 0 : Int((Double(trained) / Double(all) * 1_000_000).rounded())
    let fraction = String(share % 10_000)
    return "trainable params: \(grouped(trained)) || all params: \(grouped(all)) || trainable%: \(share / 10_000)."
      + String(repeating: "0", count: 4 - fraction.count) + fraction
  }
}

/// 1234567 → "1,234,567"
public func grouped(_ number: Int) -> String {
  let digits = Array(String(number.magnitude))
  let groups = stride(from: digits.count, to: 0, by: -3).map { String(digits[max(0, $0 - 3)..<$0]) }
  return (number < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
}

extension AdaptedModel {
  /// Whether what is trained can be kept as an adapter: not so where the language model is trained whole, whose head may
  /// be its embedding, which PEFT would tear apart.
  public var isAdapter: Bool {
    !tuned.isEmpty && model.classifier?.frozen == nil && !tunings.contains { $0.part == .language && $0.trainsModules }
  }

  /// The table of parts: how each is trained, how many of its parameters, in which layers.
  public func partsTable(learningRates: [ModelPart: Double]) -> [String] {
    var rows = [["part", "train", "learning rate", "trained", "of", "what"]]
    for tuning in stages[present].tunings {
      let part = tuning.part
      let own = model.parameters.filter { MultimodalModel.part(of: $0.name) == part }
      guard !own.isEmpty else { continue }
      let trained = own.filter(\.isTrainable)
      rows.append([
        part.rawValue, tuning.summary.method + (own.contains { $0.isQuantised } ? ", nf4" : ""),
        trained.isEmpty ? "-" : "\(learningRates[part] ?? 0)",
        grouped(trained.reduce(0) { $0 + $1.count }), grouped(own.reduce(0) { $0 + $1.count }), tuning.summary.what,
      ])
    }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      zip(row, widths).enumerated().map { column, cell in
        let space = String(repeating: " ", count: cell.1 - cell.0.count)
        return (2...4).contains(column) ? space + cell.0 : cell.0 + space
      }.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }
  }
}
