import Foundation
import Ground
import Models
import SafeTensors
import Synchronization
import TestSupport
import Tensors
import XCTest

/// Converted weights in a cache folder have the bits of those converted in memory, whatever became of folder and file.
final class WeightConversionTests: FolderTests {
  private let configuration: JSON = [
    "model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
    "num_attention_heads": 2, "vocab_size": 10,
  ]
  private let query = "model.layers.0.self_attn.q_proj.weight"
  private var source: String { folder + "/model/model.safetensors" }
  private var cache: CacheFolder { CacheFolder(folder + "/cache", limit: 1 << 24) }

  private func makeModel(_ dtype: DType = .float32, seed: UInt64 = 1) throws -> ModelFolder {
    try place(configuration.indented, "model/config.json")
    let model = try MultimodalModel(configuration: configuration, at: "config.json")
    let backend = try CPUBackend(threads: 1)
    let tensors = model.parameters.map { parameter -> StoredTensor in
      var tensor = StoredTensor(parameter.name, parameter.shape, seed: seed)
      guard dtype != .float32 else { return tensor }
      let count = parameter.count
      tensor.dtype = dtype
      tensor.bytes = tensor.bytes.withUnsafeBytes { bytes in
        let floats = (0..<count).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        guard dtype == .bfloat16 else { return floats.flatMap { half($0) } }
        let narrow = backend.cast(backend.tensor(floats, [count]), to: dtype)
        return backend.withBytes(of: narrow) { Array($0) }
      }
      return tensor
    }
    try writeStored(tensors, to: source)
    return try ModelFolder(folder + "/model")
  }

  private func half(_ value: Float) -> [UInt8] {
    // Exact halves, so that no rounding is needed here: sign and a power of two.
    let bits: UInt16 = (value < 0 ? 0x8000 : 0) | UInt16(10 + Int(abs(value) * 8)) << 10
    return withUnsafeBytes(of: bits.littleEndian, Array.init)
  }

  private struct Loaded: Equatable {
    var bytes: [String: [UInt8]] = [:]
    var dtypes: [String: DType] = [:]
  }

  /// All values of a freshly loaded model; `provider` sees the conversion.
  private func load(
    _ model: ModelFolder, _ precision: DType, trained: String? = nil, _ provider: WeightConversion.Provider? = nil
  ) throws -> Loaded {
    let (built, backend) = (try model.makeModel(), try CPUBackend(threads: 2))
    for parameter in built.parameters where parameter.name == trained { parameter.isTrainable = true }
    try model.loadWeights(
      into: built, backend: backend, precision: precision, converted: provider, isFresh: { _ in false })
    var loaded = Loaded()
    for parameter in built.parameters {
      loaded.bytes[parameter.name] = backend.withBytes(of: parameter.value) { Array($0) }
      loaded.dtypes[parameter.name] = parameter.value.dtype
    }
    return loaded
  }

  /// Loads by way of the cache; tells which file was used and whether it was made for this.
  private func loadCached(
    _ model: ModelFolder, _ precision: DType = .bfloat16, trained: String? = nil
  ) throws -> (loaded: Loaded, path: String, isNew: Bool) {
    var used = (path: "", isNew: false)
    let backend = try CPUBackend(threads: 2)
    let loaded = try load(model, precision, trained: trained) { [cache] conversion in
      used = try conversion.prepare(in: cache, backend, verifies: true)
      return try conversion.open(used.path)
    }
    return (loaded, used.path, used.isNew)
  }

  private func files(_ prefix: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: cache.path + "/weights")
      .filter { $0.hasPrefix(prefix) && !$0.hasSuffix(".lock") }.sorted()
  }

  func testTheBitsAreThoseOfAConversionInMemory() throws {
    for (stored, wanted) in [
      (DType.float32, DType.bfloat16), (.float16, .bfloat16), (.float16, .float32), (.bfloat16, .float32),
    ] {
      let model = try makeModel(stored)
      let plain = try load(model, wanted)
      XCTAssertEqual(plain.dtypes[query], wanted)
      let first = try loadCached(model, wanted)
      XCTAssertEqual(first.loaded, plain, "\(stored) → \(wanted)")
      XCTAssertTrue(first.isNew)
      let inode = FileIdentity(first.path)?.inode
      let second = try loadCached(model, wanted)
      XCTAssertEqual(second.loaded, plain)
      XCTAssertFalse(second.isNew)
      XCTAssertEqual(second.path, first.path)
      XCTAssertEqual(FileIdentity(second.path)?.inode, inode, "it is not written again")
    }
    let conversions = try files().filter { !$0.hasPrefix("known-") }
    XCTAssertEqual(conversions.count, 4, "one file a conversion, nothing left behind: \(conversions)")
  }

  func testTheFileIsAnOrdinaryOneThatHoldsTheFrozenMatricesAlone() throws {
    let model = try makeModel()
    let (_, path, _) = try loadCached(model, trained: query)
    let file = try SafeTensorsFile(path)
    let matrices = try model.makeModel().parameters.filter { $0.shape.count > 1 && $0.name != query }
    XCTAssertEqual(Set(file.entries.keys), Set(matrices.map(\.name)))
    XCTAssertTrue(file.entries.values.allSatisfy { $0.dtype == .bfloat16 })
    let first = try file.bytes(of: XCTUnwrap(file.entries.keys.first))
    XCTAssertEqual(Int(bitPattern: first.baseAddress) % 4096, 0, "values begin at a page")
    XCTAssertNotEqual(try loadCached(model).path, path, "another set of weights is another file")
  }

  func testNothingIsConvertedThatIsUsableWhereItLies() throws {
    for dtype in [DType.float32, .bfloat16] {
      let model = try makeModel(dtype)
      _ = try load(model, dtype) { conversion in
        XCTAssertTrue(conversion.isEmpty)
        return nil
      }
    }
  }

  func testWeightsAtOddAddressesAreConverted() throws {
    let model = try makeModel()
    let plain = try load(model, .float32)
    // One more byte of header text moves all values.
    var data = try Data(contentsOf: URL(fileURLWithPath: source))
    let length = data.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    data.replaceSubrange(0..<8, with: withUnsafeBytes(of: (length + 1).littleEndian, Array.init))
    data.insert(UInt8(ascii: " "), at: 8 + Int(length))
    try data.write(to: URL(fileURLWithPath: source))
    let (loaded, path, isNew) = try loadCached(model, .float32)
    XCTAssertTrue(isNew)
    XCTAssertEqual(loaded, plain)
    XCTAssertEqual(try SafeTensorsFile(path).entries.count, 9)
  }

  func testADamagedFileIsMadeAgain() throws {
    let model = try makeModel()
    let plain = try load(model, .bfloat16)
    let path = try loadCached(model).path
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    let header = 8 + Int(whole.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) })
    var damaged: [Data] = [Data(), whole.prefix(5), whole.prefix(header), whole.dropLast(), whole + Data([0])]
    for place in [0, 7, 9, 40, header - 1, header, header + 100, whole.count - 1] {
      var other = whole
      other[place] ^= 1
      damaged.append(other)
    }
    // Sound in itself, but not this conversion's: another name, other shapes, no tensor, another checksum.
    let foreign = folder + "/foreign"
    try writeStored([StoredTensor("x", [4])], to: foreign)
    damaged.append(try Data(contentsOf: URL(fileURLWithPath: foreign)))
    try writeStored([], to: foreign)
    damaged.append(try Data(contentsOf: URL(fileURLWithPath: foreign)))
    let stored = try SafeTensorsFile(path).stored()
    try writeStored(stored, to: foreign)
    damaged.append(try Data(contentsOf: URL(fileURLWithPath: foreign)))
    for (index, data) in damaged.enumerated() {
      try data.write(to: URL(fileURLWithPath: path))
      let again = try loadCached(model)
      XCTAssertTrue(again.isNew, "damage \(index)")
      XCTAssertEqual(again.path, path)
      XCTAssertEqual(again.loaded, plain, "damage \(index)")
      XCTAssertEqual(try Data(contentsOf: URL(fileURLWithPath: path)), whole, "damage \(index)")
    }
  }

  func testAFolderInItsPlaceIsAFault() throws {
    let model = try makeModel()
    let path = try loadCached(model).path
    unlink(path)
    try makeFolder(path + "/inside")
    XCTAssertEqual(try fault { try loadCached(model) }.kind, .cannotWrite)
  }

  /// Size and time of modification are put back, as a copying program may do.
  func testChangedWeightsAreNeverStale() throws {
    var model = try makeModel()
    let first = try loadCached(model)
    if FileIdentity(source)?.isSettled() == false {
      XCTAssertEqual(try files("known-"), [], "a file that may still be changing is not remembered")
    }
    try letSettle(source)
    XCTAssertFalse(try loadCached(model).isNew)
    XCTAssertEqual(try files("known-").count, 1)
    let before = try XCTUnwrap(FileIdentity(source))
    for inPlace in [true, false] {
      var data = try Data(contentsOf: URL(fileURLWithPath: source))
      data[data.count - 1] ^= 0x40
      if inPlace {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: source))
        try handle.write(contentsOf: data)
        try handle.close()
      } else {
        try data.write(to: URL(fileURLWithPath: source), options: .atomic)
      }
      let time = timespec(tv_sec: before.modified / 1_000_000_000, tv_nsec: before.modified % 1_000_000_000)
      XCTAssertEqual(utimensat(AT_FDCWD, source, [time, time], 0), 0)
      model = try ModelFolder(folder + "/model")
      let plain = try load(model, .bfloat16)
      let after = try loadCached(model)
      XCTAssertEqual(after.loaded, plain)
      XCTAssertEqual(after.loaded == first.loaded, !inPlace, "the second change undoes the first")
      XCTAssertEqual(after.path == first.path, !inPlace, "the content names the file")
    }
  }

  func testADamagedMemoryOfWhatWasReadIsNotBelieved() throws {
    let model = try makeModel()
    let plain = try load(model, .bfloat16)
    try letSettle(source)
    let path = try loadCached(model).path
    let known = try cache.path + "/weights/" + XCTUnwrap(files("known-").first)
    for text in ["", "ff", String(repeating: "0", count: 32), String(repeating: "/", count: 32), "../../x"] {
      try text.write(toFile: known, atomically: true, encoding: .utf8)
      let again = try loadCached(model)
      XCTAssertEqual(again.loaded, plain, text)
      XCTAssertEqual(again.path, path, text)
    }
  }

  /// Runs that start at the same time wait for the first of them.
  func testSeveralRunsConvertOnce() throws {
    _ = try makeModel()
    let made = Mutex<[Bool]>([])
    DispatchQueue.concurrentPerform(iterations: 4) { [cache, folder] _ in
      do {
        let model = try ModelFolder(folder + "/model")
        let (built, backend) = (try model.makeModel(), try CPUBackend(threads: 1))
        try model.loadWeights(
          into: built, backend: backend, precision: .bfloat16,
          converted: {
            let (path, isNew) = try $0.prepare(in: cache, backend, verifies: true)
            made.withLock { $0.append(isNew) }
            return try $0.open(path)
          }, isFresh: { _ in false })
      } catch {
        XCTFail("\(error)")
      }
    }
    XCTAssertEqual(made.withLock { $0.filter(\.self).count }, 1)
    XCTAssertEqual(made.withLock(\.count), 4)
  }

  func testAFolderThatCannotBeWrittenAndACacheThatIsTooSmall() throws {
    let model = try makeModel()
    let backend = try CPUBackend(threads: 1)
    try place("", "file")
    for cache in [CacheFolder(folder + "/file/cache", limit: 1 << 24), CacheFolder(folder + "/small", limit: 1 << 20)] {
      let fault = try fault {
        try load(model, .bfloat16) { try $0.open($0.prepare(in: cache, backend, verifies: true).path) }
      }
      XCTAssertEqual(fault.kind, .cannotWrite)
    }
  }

  func testOtherFilesMakeRoomUnlessItWouldNotHelp() throws {
    let model = try makeModel()
    let small = CacheFolder(cache.path, limit: (1 << 20) + 9000)
    try small.make("features/old") { try Data(count: 8192).write(to: URL(fileURLWithPath: $0)) }
    let backend = try CPUBackend(threads: 1)
    let tiny = CacheFolder(cache.path, limit: 1 << 20)
    XCTAssertThrowsError(
      try load(model, .bfloat16) { try $0.open($0.prepare(in: tiny, backend, verifies: true).path) })
    XCTAssertNotNil(small.existing("features/old"))
    _ = try load(model, .bfloat16) { try $0.open($0.prepare(in: small, backend, verifies: true).path) }
    XCTAssertNil(small.existing("features/old"))
  }
}
