import Foundation
import Ground
import Models
import SafeTensors
import Synchronization
import TestSupport
import Tensors
import Training
import XCTest

@testable import Parallel

/// What the ranks of a node share of converted weights, and what they do when they cannot.
final class SharedWeightsTests: FolderTests {
  private struct Seen: Sendable {
    var weights: [String: [Float]]
    var path: String?
    var notes: [String]
  }

  /// - Parameters:
  ///   - nodes: the node of each rank; by default they are all on one.
  ///   - cache: the folder that each rank sees.
  private func load(
    ranks: Int, nodes: [Int]? = nil, cache: (@Sendable (Int) -> CacheFolder)?
  ) throws -> [Seen] {
    let path = try Golden("llava-clip-llama").modelFolder
    return try InProcessCommunicator.run(ranks) { ranks in
      let communicator: any Communicator = nodes.map { Scattered(ranks, nodes: $0) } ?? ranks
      let (folder, backend) = (try ModelFolder(path), try CPUBackend(threads: 1))
      let model = try folder.makeModel()
      var seen = Seen(weights: [:], path: nil, notes: [])
      try folder.loadWeights(
        into: model, backend: backend, precision: .bfloat16,
        converted: cache.map { cache in
          let shared = SharedWeights(in: cache(communicator.rank), communicator, backend) { seen.notes.append($0) }
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
      let seen = try load(ranks: 3, cache: { _ in cache })
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
    let seen = try load(ranks: 3) { [folder] _ in CacheFolder(folder + "/file/cache", limit: 1 << 26) }
    for rank in seen {
      XCTAssertEqual(rank.weights, plain)
      XCTAssertNil(rank.path)
    }
    XCTAssertEqual(seen.map(\.notes.count), [1, 0, 0])
    let note = try XCTUnwrap(seen[0].notes.first)
    XCTAssertTrue(note.hasPrefix("warning: every rank of "), note)
    XCTAssertTrue(note.contains("cannot make the folder"), note)
  }

  private func files(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder + "/weights").filter { $0.hasSuffix(".safetensors") }
  }

  /// Four ranks on two nodes, with a folder that both see, and with one on each.
  func testNodesWithOneFolderConvertOnceAndOthersOnceEach() throws {
    let folder = folder
    let plain = try load(ranks: 1, cache: nil)[0].weights
    let nodes = [0, 1, 0, 1]
    let common = try load(ranks: 4, nodes: nodes) { _ in CacheFolder(folder + "/common", limit: 1 << 26) }
    XCTAssertEqual(Set(common.map(\.path)).count, 1)
    XCTAssertEqual(try files(folder + "/common").count, 1)
    let own = try load(ranks: 4, nodes: nodes) { CacheFolder(folder + "/own-\($0 % 2)", limit: 1 << 26) }
    for rank in common + own { XCTAssertEqual(rank.weights, plain) }
    for (rank, seen) in own.enumerated() {
      XCTAssertTrue(seen.path?.hasPrefix(folder + "/own-\(rank % 2)/") ?? false, "rank \(rank): \(seen.path ?? "-")")
    }
    XCTAssertEqual(try files(folder + "/own-0"), try files(folder + "/own-1"))
  }

  /// One node whose folder cannot be written does not keep the other from sharing.
  func testANodeWithoutAFolderIsNamed() throws {
    let folder = try place("", "file")
    let own = self.folder + "/own"
    let seen = try load(ranks: 4, nodes: [0, 0, 2, 2]) { CacheFolder($0 < 2 ? own : folder, limit: 1 << 26) }
    XCTAssertEqual(seen.map { $0.path != nil }, [true, true, false, false])
    XCTAssertEqual(Set(seen.map(\.weights)).count, 1)
    XCTAssertEqual(seen[0].notes.count, 2, "what was made, and where not")
    XCTAssertTrue(seen[0].notes[1].hasPrefix("warning: every rank of node-2 "), seen[0].notes[1])
  }
}

/// Ranks that believe to be on several nodes.
private final class Scattered: Communicator {
  private let ranks: any Communicator
  let places: [RankPlace]

  init(_ ranks: any Communicator, nodes: [Int]) {
    self.ranks = ranks
    places = nodes.map { RankPlace(host: "node-\($0)", node: $0) }
  }

  var rank: Int { ranks.rank }
  var count: Int { ranks.count }
  var activity: String {
    get { ranks.activity }
    set { ranks.activity = newValue }
  }

  func post<Value: Sendable>(_ name: String, _ work: @escaping @Sendable (any Collectives) throws -> Value)
    -> Posted<Value>
  { ranks.post(name, work) }
  func agreeOnSuccess<Value>(_ body: () throws -> Value) throws -> Value { try ranks.agreeOnSuccess(body) }
  func abort(_ fault: Fault) -> Never { ranks.abort(fault) }
  func leave() throws { try ranks.leave() }
}
