import Models
import Modules
import RunFile
import Tensors

/// How one part of a model is tuned, as a value: what its row of the run file says. One file each in `Methods/`.
public protocol TuningMethod: Equatable, Sendable {
  /// The method at work in a model that is about to be built.
  /// - Throws: `Fault(.badConfiguration)` for settings that make no sense.
  func tuning(of part: ModelPart) throws -> any Tuning
  /// Whether a model computes something else as soon as this is there, before any step of training.
  var changesFromTheStart: Bool { get }
}

extension TuningMethod {
  public var changesFromTheStart: Bool { false }
}

/// A method at work in one part of one model: what it adds, and what of the model it trains.
public protocol Tuning: ModelTransform {
  var part: ModelPart { get }
  /// Parameters that no model file holds, first used first.
  var added: [Parameter] { get }
  /// Which of them stay as they are, trained before.
  var frozenAdditions: [Parameter] { get }
  /// Whether whole modules of the model are trained, which are saved as such.
  var trainsModules: Bool { get }
  /// What the table of parts says: `("lora r=16 α=32", "168 layers: …")`.
  var summary: (method: String, what: String) { get }

  /// Looks, once the model is built, whether everything was found that the settings name.
  /// - Throws: `Fault(.badConfiguration)` that names what was not, and the nearest there is.
  func check(_ model: MultimodalModel) throws
  /// Whether a parameter of this part, added ones aside, is trained.
  func trains(_ parameter: Parameter) -> Bool
  /// Gives the added parameters their first values; those of the model have theirs.
  /// - Throws: `Fault` where what they begin with cannot be read.
  func initialise(seed: UInt64, in adapted: AdaptedModel, _ backend: any Backend) throws
  /// Whether what was trained can be added to the model's own weights.
  var isMergeable: Bool { get }
}

extension Tuning {
  public var added: [Parameter] { [] }
  public var frozenAdditions: [Parameter] { [] }
  public var trainsModules: Bool { false }
  public func check(_ model: MultimodalModel) throws {}
  public func trains(_ parameter: Parameter) -> Bool { false }
  public func initialise(seed: UInt64, in adapted: AdaptedModel, _ backend: any Backend) {}
  public var isMergeable: Bool { added.isEmpty }
}

/// The registry: what each `train:` of the run file stands for, and the format of its files; one line a method.
private let methods: [PartConfiguration.Method: Entry] = [
  .frozen: Entry { _ in Frozen() },
  .full: Entry { FullTuning(layers: $0.layers, frozen: $0.freeze) },
  .lora: Entry(LoRAFormat.self) { LoRASettings($0) },
  .qlora: Entry(LoRAFormat.self) { LoRASettings($0) },  // beside `Quantize`
  .adapter: Entry(BottleneckFormat.self) { AdapterRow($0) },
  .prompt: Entry(VirtualTokenFormat<PromptTuning>.self) { PromptTuning($0) },
  .prefix: Entry(VirtualTokenFormat<PrefixTuning>.self) { PrefixTuning($0) },
  .pTuning: Entry(VirtualTokenFormat<PTuning>.self) { PTuning($0) },
]

private struct Entry: Sendable {
  let format: (any AdapterFormat.Type)?
  let make: @Sendable (PartConfiguration) -> any TuningMethod

  init(_ format: (any AdapterFormat.Type)? = nil, make: @escaping @Sendable (PartConfiguration) -> any TuningMethod) {
    self.format = format
    self.make = make
  }
}

/// The formats of all methods.
let adapterFormats: [any AdapterFormat.Type] = PartConfiguration.Method.allCases.compactMap { methods[$0]?.format }

extension PartConfiguration {
  /// What this row asks for; nil for a method that is not there yet, which `validate` refuses.
  public var method: (any TuningMethod)? { methods[train].map { $0.make(self) } }
}
