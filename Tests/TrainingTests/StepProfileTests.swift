import Foundation
import Ground
import Parallel
import XCTest

@testable import Training

/// What a profile says of whole steps.
final class StepProfileTests: XCTestCase {
  /// One step of full training of SigLIP + Qwen2 on the first four records, counted by hand from `config.json`.
  func testOperationsOfAWholeStep() throws {
    let run = try GoldenRun("llava-siglip-qwen2", section: "full")
    let profile = Profile(limit: 100_000)
    let communicator = SingleRank.communicator
    let (trainer, _) = try run.start(communicator, profile: profile)
    let loader = try run.loader(after: 0, communicator)
    profile.isRecording = true
    let report = try trainer.trainStep(loader)
    let recording = profile.take()
    XCTAssertEqual([report.tokens, report.images, report.supervisedTokens], [300, 5, 72])

    // A trained linear layer takes 2 operations for each row and weight forward, and 4 backward.
    let patches = 5 * 16
    let patchEmbedding = 4 * patches * (3 * 7 * 7) * 32  // pixels want no gradient
    let visionLayer = 6 * patches * (4 * 32 * 32 + 2 * 32 * 48)
    let projector = 6 * patches * (32 * 48 + 48 * 48)
    let (queryKeyValue, afterAttention) = (48 * 48 + 2 * 48 * 16, 48 * 48 + 3 * 48 * 48)
    // What comes after attention in the last layer is computed for the supervised rows alone.
    let language = 6 * 300 * (2 * queryKeyValue + afterAttention) + 6 * 72 * afterAttention
    let head = 6 * 72 * 48 * 336
    // Attention takes 2 products forward and 5 backward for each pair of a query and a key that it sees.
    let visionAttention = 7 * 2 * 32 * (5 * 16 * 16)
    let pairs = [54, 100, 75, 71].reduce(0) { $0 + $1 * ($1 + 1) / 2 }
    let languageAttention = 7 * 2 * 48 * pairs
    XCTAssertEqual(recording.total(.primitive, "crossEntropy").operations, head)
    XCTAssertEqual(
      recording.total(.primitive, "attention").operations + recording.total(.primitive, "attentionBackward").operations,
      2 * (visionAttention + languageAttention))
    XCTAssertEqual(
      recording.total(.primitive).operations,
      patchEmbedding + projector + head + 2 * (visionLayer + visionAttention + languageAttention) + language)
  }

  /// What ranks wait for each other is told apart from what gradients take on their way.
  func testAWaitForASlowerRankIsSkew() throws {
    let run = try GoldenRun("llava-clip-llama", section: "lora")
    let reports = try InProcessCommunicator.run(2) { communicator -> StepReport in
      let (trainer, _) = try run.start(communicator)
      let loader = try run.loader(after: 0, communicator)
      _ = try trainer.trainStep(loader)
      if communicator.rank == 1 { Thread.sleep(forTimeInterval: 2) }
      return try trainer.trainStep(loader)
    }
    for report in reports {
      XCTAssertGreaterThan(report.skewSeconds, 0.25)
      XCTAssertLessThanOrEqual(report.skewSeconds, report.exposedSeconds)
    }
    let alone = try GoldenRun("llava-clip-llama", section: "lora").train(ranks: 1, steps: 1)
    XCTAssertEqual(alone.reports[0].skewSeconds, 0)
  }

  /// Phases lie within the step, primitives within a phase, and nothing overlaps.
  func testSpansNest() throws {
    let run = try GoldenRun("llava-clip-llama", section: "lora")
    let recordings = try InProcessCommunicator.run(2, nodeSize: 1) { communicator -> Profile.Recording in
      let profile = Profile(limit: 100_000)
      let (trainer, _) = try run.start(communicator, profile: profile)
      let loader = try run.loader(after: 0, communicator)
      _ = try trainer.trainStep(loader)
      XCTAssertTrue(profile.take().spans.isEmpty)
      profile.isRecording = true
      for _ in 0..<2 { _ = try trainer.trainStep(loader) }
      return profile.take()
    }
    for recording in recordings {
      let (steps, phases) = (recording.spans.filter { $0.kind == .step }, recording.spans.filter { $0.kind == .phase })
      XCTAssertEqual(steps.map(\.name), ["step 2", "step 3"])
      XCTAssertEqual(
        Set(phases.map(\.name)), Set(StepMeasurement.phases.map(\.rawValue)).subtracting(["look ahead"]),
        "all but the checkpoint occur, where no features are kept")
      for spans in [steps, phases] {
        for (span, next) in zip(spans, spans.dropFirst()) { XCTAssertLessThanOrEqual(span.end, next.start) }
      }
      for phase in phases { XCTAssertEqual(steps.filter { $0.holds(phase) }.count, 1, phase.name) }
      let primitives = recording.spans.filter { $0.kind == .primitive }
      XCTAssertGreaterThan(primitives.count, 200)
      for primitive in primitives { XCTAssertEqual(phases.filter { $0.holds(primitive) }.count, 1, primitive.name) }
      for phase in phases {
        let inside = primitives.filter(phase.holds).reduce(0) { $0 + $1.end - $1.start }
        XCTAssertLessThanOrEqual(inside, phase.end - phase.start, phase.name)
      }
      let exchanges = recording.spans.filter { $0.kind == .exchange }
      XCTAssertEqual(exchanges.map(\.name), ["bucket 0", "bucket 0"], "one bucket holds these 11,232 numbers")
      // With one other rank, on another node, half of the bucket is sent to be added up, and then the other half as sums.
      for exchange in exchanges {
        XCTAssertEqual(exchange.work.bytes, exchange.work.shapes[0][0] * 4)
        XCTAssertEqual(steps.filter { $0.holds(exchange) }.count, 1)
      }
    }
  }

  func testSummary() {
    let profile = Profile(limit: 10)
    func add(_ kind: Profile.Kind, _ name: String, _ seconds: Double, type: String? = nil, operations: Int = 0) {
      profile.add(
        Profile.Span(
          kind: kind, name: name, start: 0, end: UInt64(seconds * 1e9),
          work: Profile.Work(type: type, operations: operations)))
    }
    for step in 1...2 { add(.step, "step \(step)", 2) }
    add(.phase, "forward", 1)
    add(.phase, "forward", 1.5)
    add(.phase, "backward", 1)
    add(.phase, "checkpoint", 9)
    add(.primitive, "product", 2, type: "F32", operations: 3_000_000_000)
    add(.primitive, "add", 0.5)
    let summary = ProfileSummary(profile.take())
    XCTAssertEqual(summary.steps, 2)
    XCTAssertEqual(summary.seconds, 4)
    XCTAssertEqual(summary.otherSeconds, 0.5, "a checkpoint is not within a step")
    XCTAssertEqual(
      summary.table,
      [
        "  phase       ms a step    share", "  forward        1250.0   62.5 %", "  backward        500.0   25.0 %",
        "  checkpoint     4500.0  225.0 %", "  other           250.0   12.5 %", "  step           2000.0  100.0 %", "",
        "  primitive    ms a step   share  calls a step  GFLOP/s",
        "  product F32     1000.0  50.0 %           0.5        2",
        "  add              250.0  12.5 %           0.5",
      ])
    XCTAssertEqual(ProfileSummary(Profile.Recording()).table, ["no step was recorded"])
  }

  func testWhichStepsAreMeant() throws {
    func steps(_ wanted: ClosedRange<Int>?, of count: Int) throws -> ClosedRange<Int> {
      try TraceRequest(path: "p.json", steps: wanted).steps(ofRunOf: count)
    }
    XCTAssertEqual(try steps(nil, of: 100), 2...4)
    XCTAssertEqual(try steps(nil, of: 3), 2...3)
    XCTAssertEqual(try steps(nil, of: 1), 1...1)
    XCTAssertEqual(try steps(5...9, of: 7), 5...7)
    XCTAssertEqual(try steps(7...7, of: 7), 7...7)
    XCTAssertThrowsError(try steps(8...9, of: 7)) { XCTAssertEqual(($0 as? Fault)?.kind, .usage) }
  }
}

extension Profile.Span {
  fileprivate func holds(_ other: Profile.Span) -> Bool { start <= other.start && other.end <= end }
}
