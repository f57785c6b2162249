import Foundation
import Ground
import Models
import Modules
import Tensors

/// How one part of a model is trained.
public enum PartMethod: Equatable, Sendable {
  case frozen
  case full
  case lora(LoRASettings)
}

/// A model with what is trained in it: low-rank updates, whole parts, or nothing.
public final class AdaptedModel {
  public let folder: ModelFolder
  public let methods: [ModelPart: PartMethod]
  public let model: MultimodalModel
  public let lora: LoRA
  /// What the model's files and the model did not agree on, once its weights are read.
  public private(set) var loadReport = LoadReport()

  /// Builds the model; its parameters have no values yet.
  /// - Throws: `Fault` for a configuration that is not supported, a target that matches nothing, a method for a part
  ///   that the model does not have.
  public init(_ folder: ModelFolder, methods: [ModelPart: PartMethod]) throws {
    self.folder = folder
    lora = try LoRA(methods.compactMapValues { if case .lora(let settings) = $0 { settings } else { nil } })
    model = try folder.makeModel(transforms: [lora])
    // A language model alone has no other part to train: rows for them say nothing.
    self.methods = model.isMultimodal ? methods : methods.filter { $0.key == .language }
    let own = Set(self.methods.keys)
    try lora.checkTargets(of: own)
    let updates = Set(lora.layers.flatMap { [$0.down.name, $0.up.name] })
    for parameter in model.parameters {
      switch methods[MultimodalModel.part(of: parameter.name)] ?? .frozen {
      case .frozen: parameter.isTrainable = false
      case .full: parameter.isTrainable = true
      case .lora: parameter.isTrainable = updates.contains(parameter.name)
      }
    }
  }

  /// Reads the weights and, where given, an adapter; fresh updates start from `seed`.
  /// - Parameter converted: see ``ModelFolder/loadWeights(into:backend:precision:converted:isFresh:)``.
  public func loadWeights(
    adapter: String?, seed: UInt64, precision: DType, converted: WeightConversion.Provider? = nil, backend: any Backend
  ) throws {
    let updates = Set(lora.layers.flatMap { [ObjectIdentifier($0.down), ObjectIdentifier($0.up)] })
    loadReport = try folder.loadWeights(
      into: model, backend: backend, precision: precision, converted: converted, seed: seed
    ) { updates.contains(ObjectIdentifier($0)) }
    lora.initialise(seed: seed, backend)
    if let adapter { try loadAdapter(adapter, backend: backend) }
  }

  /// What is trained, first used first.
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
  public var isAdapter: Bool { methods[.language] != .full && !trainable.isEmpty }

  /// The table of parts: how each is trained, how many of its parameters, in which layers.
  public func partsTable(learningRates: [ModelPart: Double]) -> [String] {
    var rows = [["part", "train", "learning rate", "trained", "of", "what"]]
    for part in ModelPart.allCases {
      let own = model.parameters.filter { MultimodalModel.part(of: $0.name) == part }
      guard !own.isEmpty else { continue }
      let trained = own.filter(\.isTrainable)
      let method: String
      let what: String
      switch methods[part] ?? .frozen {
      case .frozen: (method, what) = ("frozen", "-")
      case .full: (method, what) = ("full", "\(own.count) tensors")
      case .lora(let settings):
        let layers = lora.layers.map(\.base.path).filter { MultimodalModel.part(of: $0) == part }
        var kinds: [String: Int] = [:]
        for layer in layers { kinds[String(layer.split(separator: ".").last ?? ""), default: 0] += 1 }
        method = "lora r=\(settings.rank) α=\(settings.alpha)"
        what =
          "\(layers.count) layers: "
          + kinds.sorted { $0.key < $1.key }.map { "\($0.key) ×\($0.value)" }.joined(separator: ", ")
      }
      rows.append([
        part.rawValue, method, trained.isEmpty ? "-" : "\(learningRates[part] ?? 0)",
        grouped(trained.reduce(0) { $0 + $1.count }), grouped(own.reduce(0) { $0 + $1.count }), what,
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
