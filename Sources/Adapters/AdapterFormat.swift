import Foundation
import Ground
import Models
import Modules
import SafeTensors
import Tensors

/// How what was trained lies in a folder, as the library that others use lays it out; its `adapter_config.json` says which
/// format it is.
protocol AdapterFormat: Sendable {
  /// Whether a configuration is of this format.
  static func wrote(_ configuration: JSON) -> Bool
  /// How each part was trained, as the files tell.
  static func methods(ofAdapter path: String, for folder: ModelFolder) throws -> [ModelPart: any TuningMethod]
  /// Whether one folder can hold what these tunings train.
  static func holds(_ tunings: [any Tuning]) -> Bool
  /// Whether its files can give what these tunings added their values.
  static func fills(_ tunings: [any Tuning]) -> Bool
  static func write(
    _ tunings: [any Tuning], of adapted: AdaptedModel, to folder: String, _ backend: any Backend) throws
  /// Gives what the tunings added, and modules that were trained whole, the values of the files.
  ///
  /// Every key must find its place and every added parameter its key: an adapter that loads and silently does nothing is
  /// the worst of faults.
  static func read(
    _ path: String, into tunings: [any Tuning], of adapted: AdaptedModel, _ backend: any Backend) throws
}

extension AdapterFormat {
  static func fills(_ tunings: [any Tuning]) -> Bool { holds(tunings) }
}

/// What formats have in common.
extension AdaptedModel {
  /// What an adapter of these tunings holds: what they added, and all of a part of which something is trained as it is,
  /// since PEFT takes whole modules.
  func kept(by tunings: [any Tuning]) -> [Parameter] {
    let added = Set(tunings.flatMap(\.added).map { ObjectIdentifier($0) })
    let whole = Set(tunings.filter(\.trainsModules).map(\.part))
    let heads = Set(heads(beside: tunings).map { ObjectIdentifier($0) })
    return model.parameters.filter {
      added.contains(ObjectIdentifier($0)) || heads.contains(ObjectIdentifier($0))
        || whole.contains(MultimodalModel.part(of: $0.name))
    }
  }

  /// What gives labels, which is trained with whatever is added to the language part.
  func heads(beside tunings: [any Tuning]) -> [Parameter] {
    tunings.contains { $0.part == .language } ? model.headParameters : []
  }

  /// What of it no model file had: an adapter must have it.
  func fresh(beside tunings: [any Tuning]) -> [Parameter] {
    heads(beside: tunings).filter { loadReport.initialised.contains($0.name) }
  }

  /// PEFT's `modules_to_save` for the parts that are trained whole.
  func savedModules(of tunings: [any Tuning]) -> [String] {
    let classifier = heads(beside: tunings).isEmpty ? nil : model.classifier?.path
    guard model.isMultimodal else { return classifier.map { [$0] } ?? [] }
    return AdaptedModel.modules.filter { module in tunings.contains { $0.part == module.part && $0.trainsModules } }
      .flatMap(\.names).filter { name in
        model.parameters.contains { $0.name.hasPrefix(name + ".") || $0.name.hasPrefix("model.\(name).") }
      }
  }

  /// The keys that say something new, of those that a file has.
  ///
  /// PEFT saves some parameters as the model has them: with `bias: all` the biases of every part, and the weight of a head
  /// that has an update. What the model has already is left out. Anything else that is not tuned would be in no checkpoint.
  /// - Parameters:
  ///   - name: the parameter that a key stands for.
  ///   - mayChange: what that is not tuned takes a value where no run goes on from here.
  /// - Throws: `Fault` for a value that the run would lose.
  func newKeys(
    of files: WeightFiles, _ keys: [String], name parameterName: (String) -> String,
    mayChange: (Parameter) -> Bool, _ backend: any Backend
  ) throws -> [String] {
    let tuned = Set(tuned.map(\.name))
    let others = model.parameters.filter { !tuned.contains($0.name) }
    let parameters = Dictionary(uniqueKeysWithValues: others.map { ($0.name, $0) })
    return try keys.filter { key in
      guard let parameter = parameters[parameterName(key)] else { return true }
      if try isSame(files, key, as: parameter, backend) { return false }
      guard !isForTraining, mayChange(parameter) else { throw refusal(of: key, for: parameter, at: files.folder) }
      return true
    }
  }

  private func refusal(of key: String, for parameter: Parameter, at path: String) -> Fault {
    let head = model.language.head?.base
    if head?.isTied == true, parameter === head?.weight {
      return Fault(
        .badConfiguration, "the adapter's '\(key)' replaces the embeddings, whose weight the head shares", at: path,
        "use an adapter that was trained without embeddings and head")
    }
    if key.hasSuffix(".base_layer.weight") {
      return Fault(
        .badData, "the adapter's '\(key)' is not the model's '\(parameter.name)'", at: path,
        "use the adapter with the model that it was trained on")
    }
    let part = MultimodalModel.part(of: parameter.name).rawValue
    return Fault(
      .badConfiguration, "the adapter replaces '\(parameter.name)', which the run would neither train nor write again",
      at: path,
      "give train.parts.\(part) the adapter's bias and modules_to_save, or merge the adapter into the model first")
  }

  /// Whether a key has the numbers that a parameter has, in the shorter of both types.
  private func isSame(
    _ files: WeightFiles, _ key: String, as parameter: Parameter, _ backend: any Backend
  ) throws -> Bool {
    let own = parameter.value
    guard let (file, entry) = files[key], entry.shape == own.shape, own.nf4 == nil,
      [.float32, .float16, .bfloat16].contains(entry.dtype)
    else { return false }
    let theirs = backend.adopt(try file.bytes(of: key), shape: entry.shape, dtype: entry.dtype, owner: file)
    let type: DType = [own.dtype, entry.dtype].contains(.bfloat16) ? .bfloat16 : .float32
    return backend.withBytes(of: backend.cast(theirs, to: type)) { theirs in
      backend.withBytes(of: backend.cast(own, to: type)) { own in
        guard let a = own.baseAddress, let b = theirs.baseAddress else { return own.isEmpty }
        return memcmp(a, b, own.count) == 0
      }
    }
  }

  /// Gives parameters the values of a file.
  ///
  /// - Parameters:
  ///   - name: the parameter that a key stands for.
  ///   - added: what must not be without a key.
  func take(
    _ files: WeightFiles, keys: [String], name parameterName: (String) -> String, awaiting added: [Parameter] = [],
    _ backend: any Backend
  ) throws {
    let parameters = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0) })
    var waiting = Set(added.map(\.name))
    for key in keys {
      let name = parameterName(key)
      guard let parameter = parameters[name] else {
        throw Fault(
          .badData, "the adapter's '\(key)' has no place in the model\(didYouMean(name, among: parameters.keys))",
          at: files.folder, "use the adapter with the model that it was trained on, and the same targets")
      }
      parameter.value = try floats(files, key, shape: parameter.shape, backend)
      waiting.remove(name)
    }
    if let first = waiting.sorted().first {
      throw Fault(
        .badData, "the adapter has no '\(first)'\(waiting.count > 1 ? " and \(waiting.count - 1) more" : "")",
        at: files.folder, "give the run file the targets that the adapter was trained with")
    }
  }

  /// A copy of a file's tensor, which must have this shape, in float32.
  func floats(_ files: WeightFiles, _ key: String, shape: [Int], _ backend: any Backend) throws -> Tensor {
    guard let file = files[key]?.file else {
      throw Fault(
        .badData, "the adapter has no '\(key)'", at: files.folder, "use an adapter that its library has saved")
    }
    return try floats(file, key, shape: shape, backend)
  }

  func floats(_ file: SafeTensorsFile, _ key: String, shape: [Int], _ backend: any Backend) throws -> Tensor {
    guard let entry = file.entries[key] else { preconditionFailure("floats: no '\(key)'") }
    guard entry.shape == shape, [.float32, .float16, .bfloat16].contains(entry.dtype) else {
      throw Fault(
        .badData, "the adapter's '\(key)' is \(entry.dtype.rawValue) \(entry.shape), the model's \(shape)",
        at: file.path, "use the adapter with the model that it was trained on, and the same rank")
    }
    let stored = backend.adopt(try file.bytes(of: key), shape: entry.shape, dtype: entry.dtype, owner: file)
    let copy = backend.empty(entry.shape, .float32)
    backend.withBytes(of: backend.cast(stored, to: .float32)) { backend.overwrite(copy, with: $0) }
    return copy
  }
}
