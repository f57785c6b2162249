import Ground
import XCTest

@testable import RunFile

/// Stages take what they do not say from the run.
final class StagesTests: XCTestCase {
  private let text = """
    model: m
    data: {train: [{path: a.jsonl}], max_length: 100}
    train:
      steps: 7
      global_batch: 8
      parts: {projector: {train: full, learning_rate: 3.0e-3}, language: {train: frozen, rank: 4}}
    stages:
      - name: align
      - name: instruct
        data: {train: [{path: b.jsonl}]}
        train: {epochs: 2, parts: {language: {train: lora}}, schedule: {name: constant}}
    """

  func testWhatAStageDoesNotSayIsTheRuns() throws {
    let run = try RunConfiguration(parsing: text, folder: "/job")
    try run.validate()
    XCTAssertEqual(run.runStages.map(\.name), ["align", "instruct"])
    let (align, instruct) = (run.stages[0], run.stages[1])
    XCTAssertEqual(align.train, run.train)
    XCTAssertEqual(align.data, run.data)
    XCTAssertEqual(instruct.data.train.map(\.path), ["/job/b.jsonl"])
    XCTAssertEqual(instruct.data.maxLength, 100)
    XCTAssertEqual((instruct.train.steps, instruct.train.epochs).0, nil)
    XCTAssertEqual(instruct.train.epochs, 2, "a length of its own takes the place of the run's steps")
    XCTAssertEqual(instruct.train.globalBatch, 8)
    XCTAssertEqual(instruct.train.parts.projector.learningRate, 3e-3)
    XCTAssertEqual(instruct.train.parts.language.train, .lora)
    XCTAssertEqual(instruct.train.parts.language.rank, 4)
    XCTAssertEqual(instruct.train.parts.language.learningRate, 2e-4, "the method's own default")
    XCTAssertEqual(instruct.train.schedule.warmupRatio, 0)
  }

  func testAnotherWayToTrainTakesNothingFromTheRuns() throws {
    let text = """
      {model: m, data: {train: [{path: t.jsonl}]}, train: {parts: {language: {train: lora, dora: true, learning_rate: 1}}},
       stages: [{name: a, train: {parts: {language: {train: frozen}}}}, {name: b, train: {parts: {language: {rank: 2}}}},
         {name: c, train: {parts: {language: {train: full, freeze: [head]}}}}]}
      """
    let run = try RunConfiguration(parsing: text, folder: "/job")
    let rows = run.stages.map(\.train.parts.language)
    XCTAssertEqual(rows.map(\.dora), [false, true, false])
    XCTAssertEqual(rows.map(\.learningRate), [2e-5, 1, 2e-5])
    XCTAssertEqual(rows[0], PartConfiguration(.language, train: .frozen))
    XCTAssertEqual(rows[1].rank, 2)
    XCTAssertNoThrow(try run.validate())
    XCTAssertEqual(try RunConfiguration(parsing: run.yaml, folder: "/job"), run)
  }

  func testARunWithoutStagesIsOneStageWithoutAName() throws {
    let run = try RunConfiguration(parsing: "{model: m, data: {train: [{path: t.jsonl}]}}", folder: "/job")
    XCTAssertEqual(run.runStages, [StageConfiguration(name: "", data: run.data, train: run.train)])
  }

  func testTheResolvedFileGivesTheSameStages() throws {
    let run = try RunConfiguration(parsing: text, folder: "/job")
    let again = try RunConfiguration(parsing: run.yaml, folder: "/elsewhere")
    XCTAssertEqual(again, run)
    XCTAssertEqual(again.hash, run.hash)
  }

  func testSetsReachTheRunAndItsStages() throws {
    let run = try RunConfiguration(
      parsing: text, folder: "/job", sets: ["train.seed=9", "stages.1.train.epochs=3", "stages.0.train.steps=5"])
    XCTAssertEqual(run.stages.map(\.train.seed), [9, 9])
    XCTAssertEqual(run.stages.map(\.train.epochs), [nil, 3])
    XCTAssertEqual(run.stages.map(\.train.steps), [5, nil])
  }

  func testFaultsNameTheStageAndTheLine() throws {
    for (change, place, what) in [
      ("stages.1.name=align", "stages.1.name", "'align' is another stage's too"),
      ("stages.1.name=null", nil, "'stages.1.name' wants a string"),
      ("stages.1.train.precision=float32", "stages.1.train.precision", "differs from that of stage 'align'"),
      ("stages.0.train.micro_batch=9", "stages.0.train.micro_batch", "is 9"),
      ("stages.0.data.train=[]", "stages.0.data.train", "has no file"),
      ("stages.0.train.parts.projector.train=frozen", "stages.0.train.parts", "nothing would be trained"),
      ("stages.0.steps=9", nil, "unknown key 'stages.0.steps'; did you mean 'train.steps'"),
      ("stages={name: a}", nil, "'stages' wants a list"),
    ] as [(String, String?, String)] {
      XCTAssertThrowsError(
        try RunConfiguration(parsing: text, folder: "/job", sets: [change]).validate(), change
      ) { error in
        let fault = error as? Fault
        XCTAssertEqual(fault?.kind, .badConfiguration)
        XCTAssertTrue(fault?.what.contains(what) ?? false, "\(change): \(error)")
        if let place { XCTAssertEqual(fault?.place, place) }
      }
    }
  }
}
