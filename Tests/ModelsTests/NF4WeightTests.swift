import Foundation
import Ground
import Models
import SafeTensors
import TestSupport
import Tensors
import XCTest

/// Models whose matrices are 4-bit codes: read from bitsandbytes' files, or made while loading.
final class NF4WeightTests: FolderTests {
  private let source = Golden.fixtures + "/llava-clip-llama/model"
  private let stored = Golden.fixtures + "/nf4/model"
  private var cache: CacheFolder { CacheFolder(folder + "/cache", limit: 1 << 24) }
  private let query = "language_model.model.layers.1.self_attn.q_proj.weight"

  private struct Loaded: Equatable {
    /// What parameters hold: the values, or the codes.
    var bytes: [String: [UInt8]] = [:]
    /// Of those that hold codes, the values.
    var values: [String: [Float]] = [:]
  }

  private func load(
    _ path: String, quantises: Bool, _ precision: DType = .float32, trained: String? = nil,
    _ provider: WeightConversion.Provider? = nil
  ) throws -> Loaded {
    let folder = try ModelFolder(path)
    let (model, backend) = (try folder.makeModel(), try CPUBackend(threads: 2))
    for linear in model.linears where quantises {
      linear.weight.isQuantised = linear.path.hasPrefix("model.language_model.")
    }
    for parameter in model.parameters where parameter.name == trained { parameter.isTrainable = true }
    try folder.loadWeights(
      into: model, backend: backend, precision: precision, converted: provider, isFresh: { _ in false })
    var loaded = Loaded()
    for parameter in model.parameters {
      let value = parameter.value
      loaded.bytes[parameter.name] = backend.withBytes(of: value) { Array($0) }
      if value.nf4 != nil {
        XCTAssertEqual(value.dtype, precision)
        loaded.values[parameter.name] = backend.read(backend.dequantised(value, as: .float32))
      }
    }
    return loaded
  }

  /// transformers quantised the same weights when it loaded them, and saved what came of it.
  func testWhatIsQuantisedWhileLoadingIsWhatTransformersSaved() throws {
    let (own, theirs) = (try load(source, quantises: true), try load(stored, quantises: false))
    XCTAssertEqual(own.values.count, 21, "seven matrices in each of three layers, not the head")
    for (name, bytes) in theirs.bytes { XCTAssertTrue(own.bytes[name] == bytes, name) }
    for (name, values) in theirs.values { XCTAssertTrue(own.values[name] == values, "values of \(name)") }
    XCTAssertEqual(own.bytes.count, theirs.bytes.count)
  }

  func testAFileInTheCacheHoldsTheSameAndIsReadAgain() throws {
    let plain = try load(source, quantises: true, .bfloat16)
    let backend = try CPUBackend(threads: 1)
    var path = ""
    for isNew in [true, false] {
      let cached = try load(source, quantises: true, .bfloat16) { [cache] conversion in
        XCTAssertEqual(conversion.summary, "BF16 and NF4")
        let made = try conversion.prepare(in: cache, backend, verifies: true)
        XCTAssertEqual(made.isNew, isNew)
        path = made.path
        return try conversion.open(made.path)
      }
      XCTAssertTrue(cached == plain)
    }
    let file = try SafeTensorsFile(path)
    XCTAssertEqual(file.entries[query]?.dtype, .uint8)
    // Damage in each of the tensors of a matrix is noticed.
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    let data = 8 + Int(whole.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) })
    for (name, entry) in file.entries where name.hasPrefix(query) {
      var damaged = whole
      damaged[data + entry.range.upperBound - 1] ^= 1
      try damaged.write(to: URL(fileURLWithPath: path))
      let again = try load(source, quantises: true, .bfloat16) { [cache] conversion in
        let made = try conversion.prepare(in: cache, backend, verifies: true)
        XCTAssertTrue(made.isNew, name)
        return try conversion.open(made.path)
      }
      XCTAssertTrue(again == plain, name)
    }
  }

  /// The file of the cache is one that bitsandbytes reads: key by key what transformers saved, the state up to its spaces.
  func testTheCacheHoldsBitsandbytesLayout() throws {
    let backend = try CPUBackend(threads: 1)
    var path = ""
    _ = try load(source, quantises: true) { [cache] conversion in
      XCTAssertEqual(conversion.summary, "NF4")
      path = try conversion.prepare(in: cache, backend, verifies: true).path
      return try conversion.open(path)
    }
    let (own, theirs) = (try SafeTensorsFile(path), try SafeTensorsFile(stored + "/model.safetensors"))
    XCTAssertEqual(own.entries.count, 21 * 6)
    for (name, entry) in own.entries {
      let wanted = try XCTUnwrap(theirs.entries[name], name)
      XCTAssertEqual(entry.dtype, wanted.dtype)
      if name.hasSuffix("__nf4") {
        XCTAssertEqual(
          try JSON(parsing: own.bytes(of: name), at: name), try JSON(parsing: theirs.bytes(of: name), at: name))
      } else {
        XCTAssertEqual(entry.shape, wanted.shape)
        XCTAssertEqual(Array(try own.bytes(of: name)), Array(try theirs.bytes(of: name)), name)
      }
    }
  }

  func testATrainedMatrixGetsTheValues() throws {
    let name = "model.language_model.layers.1.self_attn.q_proj.weight"
    let frozen = try load(stored, quantises: false)
    let trained = try load(stored, quantises: false, trained: name)
    XCTAssertNil(trained.values[name])
    XCTAssertEqual(trained.bytes[name], frozen.values[name]?.withUnsafeBytes(Array.init))
  }

  /// Codes of a whole matrix and one run of numbers are all that is in memory.
  func testNoWholeCopyIsMadeWhileQuantising() throws {
    let configuration: JSON = [
      "model_type": "llama", "hidden_size": 1024, "intermediate_size": 8192, "num_hidden_layers": 1,
      "num_attention_heads": 8, "num_key_value_heads": 1, "vocab_size": 10,
    ]
    try place(configuration.indented, "model/config.json")
    let folder = try ModelFolder(folder + "/model")
    let model = try folder.makeModel()
    try writeStored(
      model.parameters.map {
        StoredTensor($0.name, .bfloat16, $0.shape, [UInt8](repeating: 0x3c, count: 2 * $0.count))
      }, to: folder.path + "/model.safetensors")
    let backend = try CPUBackend(threads: 2)
    for linear in model.linears where linear.path != "lm_head" { linear.weight.isQuantised = true }
    try folder.loadWeights(into: model, backend: backend, precision: .bfloat16, isFresh: { _ in false })
    let all = model.linears.reduce(0) { $0 + $1.weight.count }
    XCTAssertGreaterThan(all, 27_000_000)
    XCTAssertLessThan(backend.peakMemory, all / 2 + 4 << 20, "a run of two million numbers is F32, never a matrix")
  }

  // MARK: Hostile files

  /// Loads the 4-bit model with tensors changed.
  private func fault(_ change: (inout [StoredTensor]) throws -> Void) throws -> Fault? {
    let copy = folder + "/copy"
    try? FileManager.default.removeItem(atPath: copy)
    try FileManager.default.copyItem(atPath: stored, toPath: copy)
    unlink(copy + "/model.safetensors")
    var tensors = try SafeTensorsFile(stored + "/model.safetensors").stored()
    try change(&tensors)
    try writeStored(tensors, to: copy + "/model.safetensors")
    do {
      _ = try load(copy, quantises: false)
      return nil
    } catch let fault as Fault {
      return fault
    }
  }

  private func changed(_ ending: String, _ change: (inout StoredTensor) -> Void) throws -> Fault? {
    try fault { tensors in
      let index = try XCTUnwrap(tensors.firstIndex { $0.name == query + ending })
      change(&tensors[index])
    }
  }

  func testWholeFilesAreRead() throws { XCTAssertNil(try fault { $0.reverse() }) }

  func testPartsThatAreMissingOrOfAnotherSize() throws {
    for ending in [".absmax", ".quant_map", ".nested_quant_map"] {
      let missing = try fault { tensors in tensors.removeAll { $0.name == query + ending } }
      XCTAssertEqual(missing?.kind, .badData, ending)
    }
    // Without its state it is a weight of bytes, and the other parts have no place.
    XCTAssertEqual(try fault { $0.removeAll { $0.name.hasSuffix("1.self_attn.q_proj.weight") } }?.kind, .badData)
    XCTAssertEqual(try fault { $0.removeAll { $0.name == query + ".quant_state.bitsandbytes__nf4" } }?.kind, .badData)
    for ending in ["", ".absmax", ".nested_absmax", ".nested_quant_map", ".quant_map"] {
      for more in [1, -1] {
        let found = try changed(ending) { tensor in
          let size = tensor.dtype.size
          let count = tensor.bytes.count / size + more
          tensor.shape = [count]
          tensor.bytes = Array((tensor.bytes + [UInt8](repeating: 0, count: size)).prefix(count * size))
        }
        XCTAssertEqual(found?.kind, .badData, "\(ending) \(more)")
        XCTAssertTrue("\(String(describing: found))".contains("q_proj"), ending)
      }
    }
  }

  func testNumbersThatMeanNothing() throws {
    for ending in [".nested_absmax", ".nested_quant_map", ".quant_map"] {
      for bits in [Float.nan.bitPattern, Float.infinity.bitPattern] {
        let found = try changed(ending) { tensor in
          tensor.bytes.replaceSubrange(0..<4, with: withUnsafeBytes(of: bits, Array.init))
        }
        XCTAssertEqual(found?.kind, .badData, ending)
      }
    }
    XCTAssertEqual(try changed(".quant_map") { $0.bytes[0] ^= 1 }?.kind, .badData, "other values than NF4")
  }

  func testStatesThatSayOtherThings() throws {
    let states: [(String, String)] = [
      ("\"nf4\"", "\"fp4\""), ("\"blocksize\": 64", "\"blocksize\": 128"), ("[48, 48]", "[48, 49]"),
      ("[48, 48]", "[9223372036854775807, 48]"), ("[48, 48]", "null"),
      ("\"nested_blocksize\": 256", "\"nested_blocksize\": 0"),
      ("\"nested_offset\": ", "\"nested_offset\": 1e400, \"x\": "),
      ("\"nested_offset\": ", "\"nested_offset\": \"1\", \"x\": "),
      ("\"nested_offset\": ", "\"other\": "), ("{", "["), ("}", ""),
    ]
    for (old, new) in states {
      let found = try changed(".quant_state.bitsandbytes__nf4") { tensor in
        let text = String(decoding: tensor.bytes, as: UTF8.self)
        XCTAssertTrue(text.contains(old))
        tensor.bytes = Array(text.replacingOccurrences(of: old, with: new).utf8)
        tensor.shape = [tensor.bytes.count]
      }
      XCTAssertEqual(found?.kind, .badData, new)
    }
    let long = try changed(".quant_state.bitsandbytes__nf4") { tensor in
      tensor.bytes += [UInt8](repeating: UInt8(ascii: " "), count: 1 << 17)
      tensor.shape = [tensor.bytes.count]
    }
    XCTAssertEqual(long?.kind, .badData)
    let padded = try changed(".quant_state.bitsandbytes__nf4") { tensor in
      tensor.bytes += [UInt8](repeating: UInt8(ascii: " "), count: 100)
      tensor.shape = [tensor.bytes.count]
    }
    XCTAssertNil(padded)
    XCTAssertEqual(
      try fault { $0.append(StoredTensor(query + ".quant_state.bitsandbytes__fp4", .uint8, [2], [123, 125])) }?.kind,
      .badData)
  }

  func testOtherMethodsOfQuantisationAreRefused() throws {
    let configuration = try JSON(contentsOf: stored + "/config.json")
    for (key, value) in [
      ("quant_method", JSON.string("gptq")), ("load_in_8bit", true), ("load_in_4bit", false),
      ("bnb_4bit_quant_type", "fp4"), ("something_new", 1),
    ] {
      let other = configuration.with("quantization_config." + key, value)
      XCTAssertThrowsError(try MultimodalModel(configuration: other, at: "config.json")) {
        XCTAssertEqual(($0 as? Fault)?.kind, .badConfiguration, key)
        XCTAssertTrue("\($0)".contains("quantization_config.\(key)"), "\($0)")
      }
    }
  }

  func testNumbersThatAreNotFiniteAreNotQuantised() throws {
    let configuration: JSON = [
      "model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
      "num_attention_heads": 2, "vocab_size": 10,
    ]
    try place(configuration.indented, "model/config.json")
    let model = try MultimodalModel(configuration: configuration, at: "config.json")
    var tensors = model.parameters.map { StoredTensor($0.name, $0.shape) }
    let index = try XCTUnwrap(tensors.firstIndex { $0.name.hasSuffix("down_proj.weight") })
    tensors[index].bytes.replaceSubrange(8..<12, with: withUnsafeBytes(of: Float.nan.bitPattern, Array.init))
    try writeStored(tensors, to: folder + "/model/model.safetensors")
    let loaded = try ModelFolder(folder + "/model")
    for linear in model.linears where linear.path != "lm_head" { linear.weight.isQuantised = true }
    XCTAssertThrowsError(
      try loaded.loadWeights(into: model, backend: CPUBackend(threads: 1), isFresh: { _ in false })
    ) { XCTAssertTrue("\($0)".contains("down_proj.weight"), "\($0)") }
  }
}
