import Foundation
import Ground
import SafeTensors
import Tensors
import XCTest

/// A test case with a folder of its own, which is empty before each test and gone after it.
open class FolderTests: XCTestCase {
  public private(set) var folder = ""

  open override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.path + "/mmdist-tests-" + UUID().uuidString
    try makeFolder(folder)
  }

  open override func tearDownWithError() throws { try FileManager.default.removeItem(atPath: folder) }

  /// Writes a file into the folder, and the folders above it, and returns its path.
  @discardableResult
  public func place(_ text: String, _ name: String) throws -> String {
    let path = folder + "/" + name
    try makeFolder((path as NSString).deletingLastPathComponent)
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    return path
  }
}

/// A tensor that a test changes before it is written.
public struct StoredTensor: Equatable, Sendable {
  public var name: String
  public var dtype: DType
  public var shape: [Int]
  public var bytes: [UInt8]

  public init(_ name: String, _ dtype: DType, _ shape: [Int], _ bytes: [UInt8]) {
    (self.name, self.dtype, self.shape, self.bytes) = (name, dtype, shape, bytes)
  }

  /// F32 numbers that differ from each other and from those of another seed.
  public init(_ name: String, _ shape: [Int], seed: UInt64 = 1) {
    let stream = RandomStream([seed]).named(name)
    let values = (0..<shape.reduce(1, *)).map { Float(stream.uniform(at: $0) - 0.5) }
    self.init(name, .float32, shape, values.withUnsafeBytes(Array.init))
  }
}

extension SafeTensorsFile {
  /// All tensors of the file.
  public func stored() throws -> [StoredTensor] {
    try entries.map { StoredTensor($0.key, $0.value.dtype, $0.value.shape, Array(try bytes(of: $0.key))) }
  }
}

/// Writes tensors as a safetensors file.
public func writeStored(_ tensors: [StoredTensor], to path: String) throws {
  let memory = tensors.map { tensor in
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.bytes.count, alignment: 64)
    copy.copyBytes(from: tensor.bytes)
    return copy
  }
  defer { for copy in memory { copy.deallocate() } }
  try writeSafeTensors(
    zip(tensors, memory).map { ($0.name, $0.dtype, $0.shape, UnsafeRawBufferPointer($1)) }, to: path)
}

extension JSON {
  /// The same with another value at a dotted path; objects on the way are made.
  public func with(_ path: String, _ value: JSON) -> JSON {
    changed(path) { $0[$1] = value }
  }

  /// The same without the member at a dotted path.
  public func without(_ path: String) -> JSON {
    changed(path) { $0[$1] = nil }
  }

  private func changed(_ path: String, _ change: (inout [(String, JSON)], String) -> Void) -> JSON {
    let parts = path.split(separator: ".", maxSplits: 1).map(String.init)
    var members = (object ?? [:]).map { ($0.key, $0.value) }
    if parts.count == 1 {
      change(&members, path)
    } else {
      members[parts[0]] = (self[parts[0]] ?? [:]).changed(parts[1], change)
    }
    return .object(.init(uniqueKeysWithValues: members))
  }
}

extension [(String, JSON)] {
  fileprivate subscript(key: String) -> JSON? {
    get { first { $0.0 == key }?.1 }
    set {
      let index = firstIndex { $0.0 == key }
      switch (index, newValue) {
      case (let index?, let value?): self[index].1 = value
      case (let index?, nil): remove(at: index)
      case (nil, let value?): append((key, value))
      case (nil, nil): break
      }
    }
  }
}
