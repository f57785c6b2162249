import Foundation
import Ground
import Models
import Parallel
import SafeTensors
import Synchronization
import TestSupport
import Tensors
import Training
import XCTest

/// What the ranks of a node share of converted weights, and what they do when they cannot.
final class SharedWeightsTests: FolderTests {
  private struct Seen: Sendable {
    var weights: [String: [Float]]
    var path: String?
    var notes: [String]
  }

  private func load(ranks: Int, cache: CacheFolder?) throws -> [Seen] {
    let path = try Golden("llava-clip-llama").modelFolder
    return try InProcessCommunicator.run(ranks) { communicator in
      let (folder, backend) = (try ModelFolder(path), try CPUBackend(threads: 1))
      let model = try folder.makeModel()
      var seen = Seen(weights: [:], path: nil, notes: [])
      try folder.loadWeights(
        into: model, backend: backend, precision: .bfloat16,
        converted: cache.map { cache in
          let shared = SharedWeights(in: cache, communicator, backend) { seen.notes.append($0) }
          return { conversion in
            let file = try shared(conversion)
            seen.path = file?.path
            return file
          }
        }, isFresh: { _ in false })
      for parameter in model.parameters { seen.weights[parameter.name] = backend.read(parameter.value) }
      return seen
    }
  }

  func testAllRanksMapOneFile() throws {
    let cache = CacheFolder(folder + "/cache", limit: 1 << 26)
    let plain = try load(ranks: 1, cache: nil)[0].weights
    for round in 0..<2 {
      let seen = try load(ranks: 3, cache: cache)
      XCTAssertEqual(Set(seen.map(\.path)).count, 1)
      XCTAssertNotNil(seen[0].path)
      for rank in seen { XCTAssertEqual(rank.weights, plain) }
      XCTAssertEqual(seen.map(\.notes.count), [round == 0 ? 1 : 0, 0, 0])
    }
    XCTAssertEqual(
      try FileManager.default.contentsOfDirectory(atPath: cache.path + "/weights").count {
        $0.hasSuffix(".safetensors")
      }, 1)
  }

  func testWithoutAFolderEachRankConvertsAndOneSaysSo() throws {
    try place("", "file")
    let plain = try load(ranks: 1, cache: nil)[0].weights
    let seen = try load(ranks: 3, cache: CacheFolder(folder + "/file/cache", limit: 1 << 26))
    for rank in seen {
      XCTAssertEqual(rank.weights, plain)
      XCTAssertNil(rank.path)
    }
    XCTAssertEqual(seen.map(\.notes.count), [1, 0, 0])
    let note = try XCTUnwrap(seen[0].notes.first)
    XCTAssertTrue(note.hasPrefix("warning: every rank of "), note)
    XCTAssertTrue(note.contains("cannot make the folder"), note)
  }
}
