import Tensors

/// What the files of a model and the model itself did not agree on, and need not.
public struct LoadReport: Equatable, Sendable {
  /// Parameters of a new classifier, which the files lack: drawn from the seed.
  public var initialised: [String] = []
  /// Heads in the files for other tasks.
  public var unused: [String] = []
  /// Modules whose updates in an adapter change nothing.
  public var withoutEffect: [String] = []

  public init(initialised: [String] = [], unused: [String] = []) {
    self.initialised = initialised
    self.unused = unused
  }

  /// What is to be said of it, one line each; empty where all agrees.
  public func notes(_ folder: String) -> [String] {
    var lines: [String] = []
    if !unused.isEmpty {
      lines.append("not used of \(folder), heads for other tasks: \(unused.joined(separator: ", "))")
    }
    if !initialised.isEmpty {
      lines.append(
        "newly initialised, as \(folder) does not have them: \(initialised.joined(separator: ", ")); "
          + "the model has to be trained before it says anything")
    }
    if !withoutEffect.isEmpty {
      lines.append(
        "left out of the adapter, as PEFT's forward pass does not use them either: updates of "
          + withoutEffect.joined(separator: ", "))
    }
    return lines
  }
}

extension MultimodalModel {
  /// The parameters of the layer that gives labels.
  public var headParameters: [Parameter] {
    guard classifier != nil else { return [] }
    if classifier?.frozen != nil { return parameters.filter { $0.name.hasPrefix("head.") } }
    return parameters.filter { $0.name.hasPrefix("classifier.") || $0.name.hasPrefix("score.") }
  }

  /// Whether a parameter may be missing in the files: those of a classifier that is still to be trained.
  func mayLack(_ name: String) -> Bool {
    guard classifier != nil || language is Bert else { return false }
    return ["classifier.", "score.", "bert.pooler.", "head."].contains(where: name.hasPrefix)
  }

  /// Whether files may hold a weight that the model has no place for: a head for another task.
  func leavesOut(_ name: String) -> Bool {
    let hasOwn = classifier != nil && classifier?.frozen == nil
    if language is Bert { return name.hasPrefix("cls.") || !hasOwn && name.hasPrefix("classifier.") }
    return hasOwn && name.hasPrefix("lm_head.") || classifier?.frozen != nil && name.hasPrefix("score.")
  }

  /// Whether a weight of the files belongs to a part that is not wanted, because nothing reads what it makes.
  func isBeyond(_ name: String) -> Bool {
    let parts = ModelPart.allCases
    guard isMultimodal, let last = parts.firstIndex(of: lastPart) else { return false }
    return parts[(last + 1)...].contains(MultimodalModel.part(of: name))
  }
}

extension ModelFolder {
  /// Draws weights from N(0, `initializer_range`²) and sets biases to 0, as transformers does for a new head.
  func initialise(_ names: [String], of model: MultimodalModel, seed: UInt64, _ backend: any Backend) {
    let deviation = configuration["initializer_range"]?.double ?? 0.02
    let stream = RandomStream([seed]).named("head")
    for parameter in model.parameters where names.contains(parameter.name) {
      if parameter.shape.count == 1 {
        parameter.value = backend.zeros(parameter.shape)
      } else {
        let draws = stream.named(parameter.name)
        parameter.value = backend.tensor(
          (0..<parameter.count).map { Float(draws.normal(at: $0) * deviation) }, parameter.shape)
      }
    }
  }
}
