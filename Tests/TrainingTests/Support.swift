import Parallel
import SafeTensors
import TestSupport

enum SingleRank {
  static var communicator: any Communicator { SingleProcess() }
}

/// The numbers of an adapter file.
struct AdapterReader {
  let values: [String: [Float]]

  init(_ folder: String) throws {
    let file = try SafeTensorsFile(folder + "/adapter_model.safetensors")
    var values: [String: [Float]] = [:]
    for name in file.entries.keys {
      let bytes = try file.bytes(of: name)
      values[name] = (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    self.values = values
  }
}

enum SafeTensorsReading {
  static func file(_ path: String) throws -> [StoredTensor] { try SafeTensorsFile(path).stored() }
}
