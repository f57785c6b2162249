import Ground
import SafeTensors
import Tensors

/// A matrix of NF4 codes in safetensors files, as bitsandbytes lays it out: `NAME` holds the codes, `NAME.absmax` the
/// magnitudes or their codes, `NAME.nested_absmax`, `NAME.nested_quant_map` what those stand for, `NAME.quant_map` what the
/// codes stand for, and `NAME.quant_state.bitsandbytes__nf4` the rest as JSON.
struct NF4Weight {
  typealias Lookup = (String) -> (file: SafeTensorsFile, entry: SafeTensorsFile.Entry)?

  static let state = ".quant_state.bitsandbytes__nf4"
  private static let endings = [
    ".absmax", ".nested_absmax", ".nested_quant_map", ".quant_map", state, ".quant_state.bitsandbytes__fp4",
  ]

  /// The name of the matrix that `key` says something of; nil where it is no such key.
  static func owner(of key: String) -> String? {
    endings.first { key.hasSuffix(".weight" + $0) }.map { String(key.dropLast($0.count)) }
  }

  /// Some of its tensors, as it lies in a file.
  private struct Part {
    let file: SafeTensorsFile
    let entry: SafeTensorsFile.Entry
    let bytes: UnsafeRawBufferPointer

    func tensor(_ backend: any Backend, as dtype: DType) -> Tensor {
      backend.adopt(bytes, shape: [bytes.count / dtype.size], dtype: dtype, owner: file)
    }
  }

  let shape: [Int]
  private let codes: Part
  private let magnitudes: Part
  /// Codes of the magnitudes, what they stand for, and what is added to it.
  private let nested: (codes: Part, map: Part, offset: Float)?

  /// - Throws: `Fault(.badData)` for anything but whole NF4 codes of this shape, in blocks of 64, with magnitudes that are
  ///   finite numbers, F32 or coded in blocks of 256.
  init(_ name: String, shape: [Int], in files: Lookup) throws {
    func fault(_ what: String, _ part: Part? = nil) -> Fault {
      Fault(
        .badData, "weight '\(name)' \(what)", at: part?.file.path ?? files(name)?.file.path ?? name,
        "quantise the model again with load_in_4bit, bnb_4bit_quant_type nf4 and the standard block sizes")
    }
    func part(_ ending: String, _ dtype: DType?, _ count: Int) throws -> Part {
      guard let (file, entry) = files(name + ending) else { throw fault("has no '\(name + ending)'") }
      let part = Part(file: file, entry: entry, bytes: try file.bytes(of: name + ending))
      guard dtype == nil || entry.dtype == dtype, part.bytes.count == count else {
        let wanted = dtype.map { "\($0.rawValue) of \(count / $0.size)" } ?? "\(count) bytes"
        throw fault(
          "has \(entry.dtype.rawValue) \(entry.shape) in '\(name + ending)' where \(wanted) belong to \(shape)", part)
      }
      if dtype == .float32, let place = firstNotFinite(part.bytes) {
        throw fault("has a number that is not finite, number \(place) of '\(name + ending)'", part)
      }
      return part
    }
    guard files(name + ".quant_state.bitsandbytes__fp4") == nil else { throw fault("is FP4, which is not supported") }
    guard let (file, entry) = files(name + NF4Weight.state) else { throw fault("has no '\(name + NF4Weight.state)'") }
    guard entry.dtype == .uint8, entry.range.count <= NF4Weight.longestState else {
      throw fault("has a state of \(entry.range.count) bytes of \(entry.dtype.rawValue)")
    }
    let state = try JSON(parsing: file.bytes(of: name + NF4Weight.state), at: "\(file.path): \(name + NF4Weight.state)")
    func check(_ key: String, _ wanted: JSON) throws {
      guard let found = state[key], found == wanted else {
        throw fault("has the \(key) \(state[key] ?? .null) where \(wanted) is wanted")
      }
    }
    try check("quant_type", "nf4")
    try check("blocksize", .integer(NF4.block))
    try check("shape", .array(shape.map(JSON.integer)))

    let count = shape.reduce(1, *)
    self.shape = shape
    // Any type may be kept in memory for the codes' sake (bnb_4bit_quant_storage); what counts is the bytes.
    codes = try part("", nil, NF4.codeBytes(count))
    let values = try part(".quant_map", .float32, 4 * NF4.values.count)
    guard floats(values.bytes) == NF4.values else { throw fault("has other values in '\(name).quant_map' than NF4") }
    guard files(name + ".nested_absmax") != nil else {
      magnitudes = try part(".absmax", .float32, 4 * NF4.blocks(count))
      nested = nil
      return
    }
    try check("nested_blocksize", .integer(NF4.scaleBlock))
    guard let offset = state["nested_offset"]?.double.map(Float.init), offset.isFinite else {
      throw fault("has the nested_offset \(state["nested_offset"] ?? .null), which is no number")
    }
    magnitudes = try part(".nested_absmax", .float32, 4 * NF4.scaleBlocks(count))
    nested = (
      try part(".absmax", .uint8, NF4.blocks(count)), try part(".nested_quant_map", .float32, 4 * 256), offset
    )
  }

  /// The matrix where it lies in its files.
  /// - Parameter dtype: what values are rounded to where they are used.
  func tensor(_ backend: any Backend, as dtype: DType) -> Tensor {
    let magnitudes = magnitudes.tensor(backend, as: .float32)
    let scales: NF4.Scales =
      if let nested {
        .coded(
          codes: nested.codes.tensor(backend, as: .uint8), magnitudes: magnitudes,
          map: nested.map.tensor(backend, as: .float32), offset: nested.offset)
      } else {
        .plain(magnitudes)
      }
    return Tensor(codes: codes.tensor(backend, as: .uint8), scales: scales, shape: shape, dtype: dtype)
  }
}

// MARK: Writing

extension NF4Weight {
  private static let longestState = 1 << 16

  /// The tensors of a matrix, in the order in which they can be made: codes, the codes of their magnitudes, the state, then
  /// what is F32, which the padded state makes begin at a multiple of 64.
  static func descriptions(_ name: String, shape: [Int]) -> [TensorDescription] {
    let count = shape.reduce(1, *)
    let (codes, blocks) = (NF4.codeBytes(count), NF4.blocks(count))
    return [
      TensorDescription(name: name, dtype: .uint8, shape: [codes, 1]),
      TensorDescription(name: name + ".absmax", dtype: .uint8, shape: [blocks]),
      TensorDescription(name: name + state, dtype: .uint8, shape: [320 - (codes + blocks) % 64]),
      TensorDescription(name: name + ".nested_absmax", dtype: .float32, shape: [NF4.scaleBlocks(count)]),
      TensorDescription(name: name + ".nested_quant_map", dtype: .float32, shape: [256]),
      TensorDescription(name: name + ".quant_map", dtype: .float32, shape: [NF4.values.count]),
    ]
  }

  /// The bytes of all but the first of `descriptions`, in their order.
  /// - Parameter dtype: of the numbers that were quantised.
  static func parts(
    _ descriptions: [TensorDescription], shape: [Int], dtype: DType, _ scales: NF4.Scales, _ backend: any Backend
  ) -> [[UInt8]] {
    guard case .coded(let codes, let magnitudes, let map, let offset) = scales else {
      preconditionFailure("magnitudes are written as codes")
    }
    let type = [DType.float16: "float16", .bfloat16: "bfloat16"][dtype] ?? "float32"
    let text =
      "{\"quant_type\": \"nf4\", \"blocksize\": \(NF4.block), \"dtype\": \"\(type)\", \"shape\": \(shape), "
      + "\"nested_blocksize\": \(NF4.scaleBlock), \"nested_dtype\": \"float32\", \"nested_offset\": \(Double(offset))}"
    let length = descriptions[2].shape[0]
    precondition(text.utf8.count <= length, "NF4: a state of \(text.utf8.count) bytes")
    let state = Array(text.utf8) + [UInt8](repeating: UInt8(ascii: " "), count: length - text.utf8.count)
    func bytes(_ tensor: Tensor) -> [UInt8] { backend.withBytes(of: tensor) { Array($0) } }
    return [
      bytes(codes), state, bytes(magnitudes), bytes(map),
      NF4.values.withUnsafeBytes { Array($0) },
    ]
  }
}

/// A matrix as NF4 codes, of which `dtype` says what values are rounded to where they are used.
/// - Throws: `Fault(.badData)` where a number is not finite.
public func quantised(
  _ matrix: Tensor, as dtype: DType, name: String, at place: String, _ backend: any Backend
) throws -> Tensor {
  let (codes, magnitudes) = backend.quantised(matrix)
  guard backend.read(magnitudes).allSatisfy(\.isFinite) else {
    throw Fault(
      .badData, "weight '\(name)' has numbers that are not finite, which 4 bits cannot hold", at: place,
      "use sound weights, or leave them as they are")
  }
  return Tensor(codes: codes, scales: backend.coded(magnitudes), shape: matrix.shape, dtype: dtype)
}

/// The tensors by which bitsandbytes stores a matrix of NF4 codes.
public func bitsandbytesDescriptions(_ name: String, shape: [Int]) -> [TensorDescription] {
  NF4Weight.descriptions(name, shape: shape)
}

/// The values of ``bitsandbytesDescriptions(_:shape:)``; the magnitudes of the matrix must be coded.
public func bitsandbytesTensors(of matrix: Tensor, name: String, _ backend: any Backend) -> [Tensor] {
  guard let nf4 = matrix.nf4 else { preconditionFailure("\(matrix) is no matrix of codes") }
  let descriptions = NF4Weight.descriptions(name, shape: matrix.shape)
  let codes = Tensor(storage: matrix.storage, offset: matrix.offset, shape: descriptions[0].shape, dtype: .uint8)
  let parts = NF4Weight.parts(descriptions, shape: matrix.shape, dtype: matrix.dtype, nf4.scales, backend)
  return [codes]
    + zip(descriptions.dropFirst(), parts).map { description, bytes in
      let tensor = backend.empty(description.shape, description.dtype)
      bytes.withUnsafeBytes { backend.overwrite(tensor, with: $0) }
      return tensor
    }
}

private func floats(_ bytes: UnsafeRawBufferPointer) -> [Float] {
  stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
}

private func firstNotFinite(_ bytes: UnsafeRawBufferPointer) -> Int? {
  (0..<bytes.count / 4).first { !bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self).isFinite }
}
