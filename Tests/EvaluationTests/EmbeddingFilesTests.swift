import Foundation
import Ground
import Parallel
import Tensors
import TestSupport
import XCTest

@testable import Evaluation

/// The rows that ranks write one by one, and what becomes of them.
final class EmbeddingFilesTests: FolderTests {
  /// Two rows of three numbers on rank 0, one on rank 1.
  private func join(_ spoil: @escaping @Sendable (_ part: String) throws -> Void = { _ in }) throws -> [Int] {
    let folder = folder + "/embedded"
    return try InProcessCommunicator.run(2) { communicator in
      let backend = try CPUBackend(threads: 1)
      let files = try communicator.agreeOnSuccess { try EmbeddingFiles(folder, width: 3, communicator) }
      let rows = 2 - communicator.rank
      let values = (0..<3 * rows).map { Float($0 + 10 * communicator.rank) }
      try files.append(backend.tensor(values, [rows, 3]), record: communicator.rank, backend)
      if communicator.rank == 1 { try spoil(folder + "/.rows-of-rank-1") }
      return try files.finish(metadata: [:]).rows
    }
  }

  func testRowsOfTheRanksComeOneAfterAnother() throws {
    XCTAssertEqual(try join(), [3, 3])
    let rows = try readFile(folder + "/embedded/embeddings.npy").suffix(36)
    let values = Array(rows).withUnsafeBytes { bytes in
      (0..<9).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    XCTAssertEqual(values, [0, 1, 2, 3, 4, 5, 10, 11, 12])
  }

  func testRowsOfAnotherLengthAreAFault() throws {
    for length in [0, 8, 16] {
      XCTAssertThrowsError(
        try join { part in guard truncate(part, off_t(length)) == 0 else { throw POSIXError(.EIO) } }
      ) { error in
        let fault = error as? Fault
        XCTAssertEqual(fault?.kind, .inputOutput, "\(error)")
        let said = "the rows of rank 1 are \(length) bytes here, and it has written 12"
        XCTAssertTrue(fault?.what.contains(said) ?? false, "\(error)")
        XCTAssertTrue(fault?.place?.hasSuffix("/.rows-of-rank-1") ?? false, "\(error)")
      }
      XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder + "/embedded"), [])
    }
  }
}
