import Adapters
import Foundation
import Ground
import Parallel
import RunFile
import Tensors
import TestSupport
import XCTest

@testable import Training

/// Replicas that would stay apart for ever are told at the start.
final class WeightAgreementTests: FolderTests {
  private final class Silent: TrainingRun.Audience {
    func note(_ line: String) {}
    func progress(_ report: StepReport, of steps: Int) {}
  }

  /// The last bit of one number.
  private static func change(_ value: Tensor, _ backend: any Backend) {
    var numbers = backend.read(value)
    numbers[numbers.count / 2] = Float(bitPattern: numbers[numbers.count / 2].bitPattern ^ 1)
    numbers.withUnsafeBytes { backend.overwrite(value, with: $0) }
  }

  /// Two ranks make a run each, `spoil` changes something on rank 1, and `body` goes on.
  private func run(
    _ spoil: @escaping @Sendable (TrainingRun, any Backend) -> Void,
    _ body: @escaping @Sendable (TrainingRun, any Communicator, any Backend) throws -> Void
  ) throws {
    let run = try SmallRun(folder)
    _ = try InProcessCommunicator.run(2) { communicator in
      let backend = try CPUBackend(threads: 1)
      let training = try TrainingRun(
        RunConfiguration(parsing: run.yaml), communicator, backend, threads: 1, audience: Silent())
      if communicator.rank == 1 { spoil(training, backend) }
      try body(training, communicator, backend)
    }
  }

  private func assertTold(_ body: () throws -> Void, file: StaticString = #filePath, line: UInt = #line) {
    XCTAssertThrowsError(try body(), file: file, line: line) { error in
      let fault = error as? Fault
      XCTAssertEqual(fault?.kind, .inputOutput, "\(error)", file: file, line: line)
      XCTAssertTrue(fault?.what.hasPrefix("rank 1 on ") ?? false, "\(error)", file: file, line: line)
      XCTAssertTrue(
        fault?.what.contains(" has read other weights than rank 0 on ") ?? false, "\(error)", file: file, line: line)
    }
  }

  func testOneBitOfATrainedWeightIsEnoughToRefuseAStart() throws {
    assertTold {
      try run({ WeightAgreementTests.change($0.adapted.tuned[0].value, $1) }) { training, _, _ in
        _ = try training.run(resume: .never, stop: StopRequest())
      }
    }
  }

  /// After a resume the optimiser's moments count as the weights do.
  func testOneBitOfTheOptimisersStateIsToldToo() throws {
    let same: @Sendable (TrainingRun, any Communicator, any Backend) throws -> Void = {
      try $0.trainer.requireSameState(as: $1, at: "run/checkpoints/step-00000001", $2)
    }
    XCTAssertNoThrow(try run({ _, _ in }, same))
    assertTold {
      try run(
        { WeightAgreementTests.change($0.trainer.optimizer.states[0].tensors[0].value, $1) }, same)
    }
  }

  /// Held-out records that rank 1 alone cannot read are looked at by none.
  func testALookThatOneRankCannotTakeIsTakenByNone() throws {
    let golden = try Golden("llava-clip-llama")
    let folder = folder
    try place(String(contentsOfFile: golden.recordsFile, encoding: .utf8), "held-0.jsonl")
    let found = try InProcessCommunicator.run(2) { communicator in
      let configuration = try RunConfiguration(
        parsing: """
          model: \(golden.modelFolder)
          output: \(folder)/run
          data:
            train: [{path: \(golden.recordsFile), images: \(golden.imagesFolder)}]
            validation: [{path: \(folder)/held-\(communicator.rank).jsonl, images: \(golden.imagesFolder)}]
            max_length: 512
          train: {steps: 1, global_batch: 4}
          evaluate: {every: 0}
          """)
      let data = try RunData(configuration, communicator)
      let model = try AdaptedModel(data.folder, stages: configuration.methods).model
      let stage = configuration.runStages[0]
      let inputs = try data.inputs(of: data.stages[0], model, stage.data)
      var notes: [String] = []
      let evaluation = try RunEvaluation(
        configuration, stage, data, model, inputs, features: nil, states: nil, communicator, CPUBackend(threads: 1)
      ) { notes.append($0) }
      return (isTaken: evaluation != nil, notes: notes)
    }
    XCTAssertEqual(found.map(\.isTaken), [false, false])
    for rank in found {
      XCTAssertEqual(rank.notes.count, 1, "\(rank.notes)")
      XCTAssertTrue(
        rank.notes[0].hasPrefix("warning: whether the pictures are used is not looked at: rank 1 on "), "\(rank.notes)")
    }
  }
}
