import Models
import Modules
import RunFile
import Tensors

/// How one part of a model is tuned, as a value: what its row of the run file says. One file each in `Methods/`.
public protocol TuningMethod: Equatable, Sendable {
  /// The method at work in a model that is about to be built.
  /// - Throws: `Fault(.badConfiguration)` for settings that make no sense.
  func tuning(of part: ModelPart) throws -> any Tuning
}

/// A method at work in one part of one model: what it adds, and what of the model it trains.
public protocol Tuning: ModelTransform {
  var part: ModelPart { get }
  /// Parameters that no model file holds, first used first.
  var added: [Parameter] { get }
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
  func initialise(seed: UInt64, _ backend: any Backend)
}

extension Tuning {
  public var added: [Parameter] { [] }
  public var trainsModules: Bool { false }
  public func check(_ model: MultimodalModel) throws {}
  public func trains(_ parameter: Parameter) -> Bool { false }
  public func initialise(seed: UInt64, _ backend: any Backend) {}
}

/// The registry: what each `train:` of the run file stands for, one line a method.
private let methods: [PartConfiguration.Method: @Sendable (PartConfiguration) -> any TuningMethod] = [
  .frozen: { _ in Frozen() },
  .full: { FullTuning(layers: $0.layers, frozen: $0.freeze) },
  .lora: { LoRASettings($0) },
  .qlora: { LoRASettings($0) },  // beside `Quantize`
]

extension PartConfiguration {
  /// What this row asks for; nil for a method that is not there yet, which `validate` refuses.
  public var method: (any TuningMethod)? { methods[train].map { $0(self) } }
}
