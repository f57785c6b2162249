import Ground
import SafeTensors
import XCTest

extension SafeTensorsFile {
  /// The numbers of an F32 tensor.
  public func floats(_ name: String) throws -> [Float] { try numbers(name) }

  /// The numbers of an I32 tensor.
  public func integers(_ name: String) throws -> [Int32] { try numbers(name) }

  /// The elements of a tensor as the file has them; their size must be its type's.
  public func numbers<Number: BitwiseCopyable>(_ name: String) throws -> [Number] {
    let (bytes, size) = (try bytes(of: name), MemoryLayout<Number>.size)
    precondition(entries[name]?.dtype.size == size, "\(name) has not \(size) bytes an element")
    return (0..<bytes.count / size).map { bytes.loadUnaligned(fromByteOffset: size * $0, as: Number.self) }
  }

  /// The shape of a tensor.
  public func shape(_ name: String) throws -> [Int] { try XCTUnwrap(entries[name], "no tensor \(name)").shape }
}

/// The fault that `body` throws; fails when it throws none.
public func fault<Result>(
  _ about: String = "", file: StaticString = #filePath, line: UInt = #line, _ body: () throws -> Result
) throws -> Fault {
  do {
    _ = try body()
  } catch let fault as Fault {
    return fault
  }
  XCTFail("no fault \(about)", file: file, line: line)
  throw CancellationError()
}

/// Whether two lists of numbers have the same bits; NaN equals itself and −0 differs from 0.
public func sameBits(_ a: [Float], _ b: [Float]) -> Bool { a.map(\.bitPattern) == b.map(\.bitPattern) }
