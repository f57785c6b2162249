import Foundation
import Ground
import OrderedCollections

/// The weights of a model folder: `NAME.safetensors`, or `NAME.safetensors.index.json` and the shards it lists.
///
/// `NAME` is `model` in a model's folder and `adapter_model` in a PEFT adapter's. When both are there the
/// single file counts, and of a name that an index gives twice the last, as in transformers.
public struct WeightFiles: Sendable {
  public let folder: String
  /// Every file, in the order in which the index first names it.
  public let files: [SafeTensorsFile]
  /// Tensors that lie in the shards but not in the index; they cannot be reached here.
  public let unlisted: [String]
  private let homes: OrderedDictionary<String, SafeTensorsFile>

  /// - Throws: `Fault(.missingInput)` when weights or shards are not there, `.badData` when the index lies.
  public init(folder: String, name: String = "model") throws {
    self.folder = folder
    let single = "\(folder)/\(name).safetensors"
    let index = single + ".index.json"
    if FileManager.default.fileExists(atPath: single) {
      let file = try SafeTensorsFile(single)
      homes = OrderedDictionary(uniqueKeysWithValues: file.entries.keys.map { ($0, file) })
      (files, unlisted) = ([file], [])
    } else if FileManager.default.fileExists(atPath: index) {
      homes = try openShards(index: index, folder: folder)
      files = Array(
        OrderedDictionary(homes.values.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first }).values)
      unlisted = files.flatMap { [homes] file in file.entries.keys.filter { homes[$0] == nil } }
    } else {
      let pickled = FileManager.default.fileExists(
        atPath: "\(folder)/\(name == "model" ? "pytorch_model" : name).bin")
      throw Fault(
        .missingInput, "no \(name).safetensors and no \(name).safetensors.index.json", at: folder,
        pickled ? "convert the .bin file to safetensors (save_pretrained does)" : "check the path of the folder")
    }
  }

  /// The names of all tensors, in the order of the file or index.
  public var names: OrderedSet<String> { homes.keys }

  /// The file that holds a tensor, and its entry there.
  public subscript(name: String) -> (file: SafeTensorsFile, entry: SafeTensorsFile.Entry)? {
    guard let file = homes[name], let entry = file.entries[name] else { return nil }
    return (file, entry)
  }

  /// The stored bytes of a tensor; they may be unaligned, and live as long as its file does.
  /// - Throws: `Fault(.badData)` with the nearest name when there is no such tensor.
  public func bytes(of name: String) throws -> UnsafeRawBufferPointer {
    guard let file = homes[name] else {
      throw Fault(
        .badData, "no tensor '\(name)' in the weights\(didYouMean(name, among: names))", at: folder,
        "check that the weights belong to this model")
    }
    return try file.bytes(of: name)
  }
}

private func openShards(index: String, folder: String) throws -> OrderedDictionary<String, SafeTensorsFile> {
  let remedy = "download the model again, with all its shards"
  guard let map = try JSON(contentsOf: index)["weight_map"]?.object else {
    throw Fault(.badData, "the index has no object 'weight_map'", at: index, remedy)
  }
  var opened: [String: SafeTensorsFile] = [:]
  var homes = OrderedDictionary<String, SafeTensorsFile>(minimumCapacity: map.count)
  for (tensor, value) in map {
    guard let shard = value.string, staysInside(shard) else {
      throw Fault(
        .badData, "the index places '\(tensor)' in \(value), which is not a file inside the folder", at: index,
        "do not use this model unless you trust its source")
    }
    let file: SafeTensorsFile
    if let known = opened[shard] {
      file = known
    } else {
      do {
        file = try SafeTensorsFile("\(folder)/\(shard)")
      } catch let fault as Fault where fault.kind == .missingInput {
        throw Fault(.missingInput, "the shard '\(shard)' is not there", at: index, remedy)
      }
      opened[shard] = file
    }
    guard file.entries[tensor] != nil else {
      throw Fault(.badData, "the index places '\(tensor)' in '\(shard)', which does not have it", at: index, remedy)
    }
    homes[tensor] = file
  }
  return homes
}

/// Whether a relative path names something below its folder, judged by its text alone: links are followed,
/// as the hub's cache is made of them.
private func staysInside(_ path: String) -> Bool {
  let parts = path.split(separator: "/", omittingEmptySubsequences: false)
  return !path.utf8.contains(0) && parts.allSatisfy { !$0.isEmpty && $0 != ".." && $0 != "." }
}
