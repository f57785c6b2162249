import Dispatch
import Foundation
import Ground
import Tensors

/// The beginning of a safetensors file that holds `tensors` in the order given: length, JSON, and spaces to
/// a multiple of 8 bytes, byte for byte as the reference writer has it. Metadata is sorted by key.
///
/// `alignment`, a multiple of 8, makes the values begin at a multiple of it.
/// Names must differ from each other, and shapes must be possible.
public func safeTensorsHeader(_ tensors: [TensorDescription], metadata: [String: String] = [:], alignment: Int = 8)
  -> [UInt8]
{
  var names: Set<String> = ["__metadata__"]
  var members: [String] = []
  if !metadata.isEmpty {
    let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
    members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
  }
  var offset = 0
  for tensor in tensors {
    precondition(names.insert(tensor.name).inserted, "safetensors: the name '\(tensor.name)' is used twice")
    guard let count = tensor.byteCount else { preconditionFailure("safetensors: impossible shape \(tensor.shape)") }
    let shape = tensor.shape.map(String.init).joined(separator: ",")
    members.append(
      "\(quoted(tensor.name)):{\"dtype\":\"\(tensor.dtype.rawValue)\",\"shape\":[\(shape)],"
        + "\"data_offsets\":[\(offset),\(offset + count)]}")
    offset += count
  }
  var json = Array("{\(members.joined(separator: ","))}".utf8)
  while (8 + json.count) % alignment != 0 { json.append(UInt8(ascii: " ")) }
  precondition(json.count <= SafeTensorsFile.largestHeader, "safetensors: too many tensors for one file")
  return withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json
}

/// Writes a safetensors file durably, in the order given, without copying the values.
///
/// In the order of ``TensorDescription/inReferenceOrder(_:_:)`` the file equals that of the reference writer.
/// - Throws: `Fault(.cannotWrite)`; then the file that was there before is untouched.
public func writeSafeTensors(
  _ tensors: [(name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer)],
  metadata: [String: String] = [:], to path: String
) throws {
  let descriptions = tensors.map { TensorDescription(name: $0.name, dtype: $0.dtype, shape: $0.shape) }
  try safeTensorsHeader(descriptions, metadata: metadata).withUnsafeBytes { header in
    var file = DispatchData.empty
    file.appendWithoutCopy(header)
    for (tensor, description) in zip(tensors, descriptions) {
      precondition(
        tensor.bytes.count == description.byteCount,
        "safetensors: '\(tensor.name)' \(tensor.shape) has \(tensor.bytes.count) bytes")
      file.appendWithoutCopy(tensor.bytes)
    }
    try writeDurably(file, to: path)
  }
}

/// Writes a safetensors file in the order given, tensor by tensor as they are made; what was there before is gone.
///
/// - Parameter values: hands the values of every tensor, one after the other, to what it is given.
/// - Throws: `Fault(.cannotWrite)`, and what `values` throws; then no file is left.
public func writeSafeTensors(
  _ descriptions: [TensorDescription], metadata: [String: String] = [:], to path: String,
  values: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
) throws {
  func failure() -> Fault { cannotWrite(path) }
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw failure() }
  do {
    try safeTensorsHeader(descriptions, metadata: metadata).withUnsafeBytes {
      try writeAll($0, to: descriptor, path: path)
    }
    var waiting = descriptions[...]
    try values { bytes in
      let next = waiting.popFirst()
      precondition(next?.byteCount == bytes.count, "safetensors: \(bytes.count) bytes for \(String(describing: next))")
      try writeAll(bytes, to: descriptor, path: path)
    }
    precondition(waiting.isEmpty, "safetensors: '\(waiting.first?.name ?? "")' has no values")
    guard fsync(descriptor) == 0 else { throw failure() }
  } catch {
    close(descriptor)
    unlink(path)
    throw error
  }
  guard close(descriptor) == 0 else { throw failure() }
  syncFolder(of: path)
}

extension DispatchData {
  fileprivate mutating func appendWithoutCopy(_ bytes: UnsafeRawBufferPointer) {
    if !bytes.isEmpty { append(DispatchData(bytesNoCopy: bytes, deallocator: .custom(nil, {}))) }
  }
}

/// A JSON string, escaped exactly as the reference writer does.
private func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\u{08}": result += "\\b"
    case "\u{0C}": result += "\\f"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case _ where scalar.value < 0x20:
      result += (scalar.value < 0x10 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

/// Writes tensors to a safetensors file, durably.
public func writeSafeTensors(
  _ tensors: [(name: String, value: Tensor)], to path: String, _ backend: any Backend
) throws {
  // Every tensor lies in host memory while it is written; the closures nest so that each stays valid.
  var pieces: [(name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer)] = []
  func gather(_ index: Int) throws {
    guard index < tensors.count else { return try writeSafeTensors(pieces, metadata: ["format": "pt"], to: path) }
    try backend.withBytes(of: tensors[index].value) { bytes in
      pieces.append((tensors[index].name, tensors[index].value.dtype, tensors[index].value.shape, bytes))
      try gather(index + 1)
    }
  }
  try gather(0)
}
