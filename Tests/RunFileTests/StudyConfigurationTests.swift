import Foundation
import Ground
import XCTest

@testable import RunFile

final class StudyConfigurationTests: XCTestCase {
  private var folder = ""

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.path + "/mmdist-study-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try write(
      "run.yaml",
      """
      model: ./model
      data: {train: [{path: train.jsonl}], validation: [{path: val.jsonl}]}
      train:
        steps: 10
        seed: 7
        parts:
          projector: {train: full, learning_rate: 2.0e-3}
          language: {train: lora, rank: 16, alpha: 32, learning_rate: 1.0e-3, targets: all-linear}
      """)
  }

  override func tearDownWithError() throws { try FileManager.default.removeItem(atPath: folder) }

  private func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
  }

  private func study(_ text: String) throws -> StudyConfiguration {
    try write("study.yaml", "run: run.yaml\n" + text)
    return try StudyConfiguration(contentsOf: folder + "/study.yaml")
  }

  func testEveryCombinationIsACell() throws {
    let study = try study(
      """
      vary:
        method:
          lora: {}
          full: {train.parts.language: {train: full, learning_rate: 1.0e-4}}
          small: {train: {parts: {language: {rank: 4}}}}
        data_size: [50, all]
        train.schedule.warmup_steps: [0, 2]
      repeats: 2
      """)
    XCTAssertEqual(study.output, folder + "/study")
    let cells = try study.cells()
    XCTAssertEqual(cells.count, 3 * 2 * 2 * 2)
    XCTAssertEqual(cells[0].name, "method=lora,data_size=50,train.schedule.warmup_steps=0,repeat=1")
    XCTAssertEqual(cells[1].name, "method=lora,data_size=50,train.schedule.warmup_steps=0,repeat=2")
    XCTAssertEqual(cells[2].name, "method=lora,data_size=50,train.schedule.warmup_steps=2,repeat=1")
    XCTAssertEqual(Set(cells.map(\.name)).count, 24)
    XCTAssertEqual(Set(cells.map(\.hash)).count, 24)
    XCTAssertEqual(cells[0].configuration.output, folder + "/study/cells/" + cells[0].name)
    XCTAssertEqual(cells.prefix(3).map(\.configuration.train.seed), [7, 8, 7])
    XCTAssertEqual(cells.prefix(3).map { $0.data?.seed }, [7, 8, 7])
    XCTAssertEqual(cells[2].configuration.train.schedule.warmupSteps, 2)
    XCTAssertEqual([cells[0], cells[4]].map { $0.data?.size }, [50, nil])
    let language = cells.map(\.configuration.train.parts.language)
    XCTAssertEqual([language[0].train, language[8].train, language[16].train], [.lora, .full, .lora])
    XCTAssertEqual([language[0].rank, language[16].rank], [16, 4])
    XCTAssertEqual(language[8].learningRate, 1e-4, "another method takes nothing from the run file's row")
    XCTAssertEqual(cells[0].configuration.model, folder + "/model")
  }

  func testPathsStartFromTheStudyAndLengthsTakeEachOthersPlace() throws {
    let study = try study("vary: {model: [./small, other/big], train.epochs: [2]}")
    let cells = try study.cells()
    XCTAssertEqual(cells.map(\.configuration.model), [folder + "/small", folder + "/other/big"])
    XCTAssertEqual(cells.map(\.name), ["model=small,train.epochs=2,repeat=1", "model=big,train.epochs=2,repeat=1"])
    XCTAssertEqual(cells[0].configuration.train.epochs, 2)
    XCTAssertNil(cells[0].configuration.train.steps)
    XCTAssertEqual(study.axes.map(\.isNumeric), [false, false])
  }

  func testRefusals() throws {
    let cases: [(String, String, String)] = [
      ("vary: {data_size: [5]}\nrepeat: 3", "unknown key 'repeat'; did you mean 'repeats'?", "study.yaml:3"),
      ("repeats: 2", "'vary' is missing", "vary"),
      ("vary: {data_size: []}", "'vary.data_size' has no setting", "study.yaml:2"),
      ("vary: {method: {}}", "'vary.method' has no setting", "study.yaml:2"),
      ("vary: {data_sizes: [5]}", "did you mean 'data_size'?", "study.yaml:2"),
      ("vary: {data_size: {a: {}}}", "wants a list of numbers", "study.yaml:2"),
      ("vary: {data_size: [0]}", "'vary.data_size' has '0'", "study.yaml:2"),
      ("vary: {data_size: [1.5]}", "'vary.data_size' has '1.5'", "study.yaml:2"),
      ("vary: {label_noise: [1.5]}", "'vary.label_noise' has '1.5'", "study.yaml:2"),
      ("vary: {label_noise: [\"0.5\"]}", "'vary.label_noise' has '0.5'", "study.yaml:2"),
      ("vary: {diversity: [0]}", "'vary.diversity' has '0'", "study.yaml:2"),
      ("vary: {data_size: [5, 5]}", "has '5' twice", "study.yaml:2"),
      ("vary: {method: {a/b: {}}}", "'a/b' cannot be the name of a setting", "study.yaml:2"),
      ("vary: {method: {..: {}}}", "cannot be the name", "study.yaml:2"),
      ("vary: {method: {lora: 3}}", "wants keys of the run file, found the number 3", "study.yaml:2"),
      ("vary: {method: lora}", "wants settings with names", "study.yaml:2"),
      ("vary: {output: [a, b]}", "'vary.output' sets 'output'", "study.yaml:2"),
      ("vary: {method: {a: {output: ./x}}}", "'vary.method.a' sets 'output'", "study.yaml:2"),
      (
        "vary: {method: {a: {train.steps: 5, train: {steps: 6}}}}",
        "'vary.method.a' contradicts itself in 'train.steps'", "study.yaml:2"
      ),
      (
        "vary: {method: {a: {train.epochs: 2, train.steps: 6}}}", "contradicts itself in 'train.epochs'", "study.yaml:2"
      ),
      ("vary: {data_size: [5]}\nmax_new_tokens: 9223372036854775807", "'max_new_tokens' is 9", "max_new_tokens"),
      ("vary: {data_size: [5]}\nrepeats: 0", "'repeats' is 0", "repeats"),
      ("vary: {data_size: [5]}\nmetrics: []", "'metrics' is empty", "metrics"),
      ("vary: {method: {a: {}}}\nbaseline: {methods: a}", "did you mean 'method'?", "baseline"),
      ("vary: {method: {lora: {}}}\nbaseline: {method: lorra}", "did you mean 'lora'?", "baseline.method"),
      ("vary: {train.seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}\nrepeats: 1000", "asks for 11000 cells", "vary"),
    ]
    for (text, says, place) in cases {
      XCTAssertThrowsError(try study(text), text) { error in
        let fault = error as? Fault
        XCTAssertEqual(fault?.kind, .badConfiguration)
        XCTAssertTrue(fault?.what.contains(says) ?? false, "\(text): \(error)")
        XCTAssertTrue(fault?.place?.hasSuffix(place) ?? false, "\(text): \(error)")
      }
    }
  }

  /// What the table says of a cell must be so.
  func testAxesThatSetTheSameKey() throws {
    let rank = "train.parts.language.rank"
    let cases = [
      (
        "{\(rank): [2, 16], method: {lora: {train.parts.language: {train: lora, rank: 8, alpha: 16}}}}",
        "'vary.method' (lora) takes the place of '\(rank)', which 'vary.\(rank)' (2) sets"
      ),
      // Another method takes nothing from the row.
      (
        "{\(rank): [2], method: {qlora: {train.parts.language: {train: qlora}}}}",
        "'vary.method' (qlora) takes the place of '\(rank)'"
      ),
      ("{train.seed: [1, 2], case: {a: {}, b: {train.seed: 9}}}", "'vary.case' (b) takes the place of 'train.seed'"),
      ("{case: {b: {train.seed: 9}}, train.seed: [1]}", "'vary.train.seed' (1) takes the place of 'train.seed'"),
      ("{a: {x: {train.seed: 1, train.steps: 2}}, b: {y: {train.seed: 3}}}", "'vary.b' (y) takes the place"),
      ("{train.steps: [5], train.epochs: [1]}", "'vary.train.epochs' (1) takes the place of 'train.steps'"),
      ("{a: {x: {train.ema: {decay: 0.5}}}, b: {y: {train.ema: null}}}", "takes the place of 'train.ema.decay'"),
    ]
    for (vary, says) in cases {
      let study = try study("vary: " + vary)
      XCTAssertThrowsError(try study.cells(), vary) { error in
        XCTAssertEqual((error as? Fault)?.kind, .badConfiguration)
        XCTAssertTrue((error as? Fault)?.what.contains(says) ?? false, "\(vary): \(error)")
        XCTAssertTrue((error as? Fault)?.place?.hasSuffix("study.yaml:2") ?? false, "\(vary): \(error)")
      }
    }
  }

  func testAListRefinesSettingsThatStandBeforeIt() throws {
    let cells = try study(
      """
      vary:
        method:
          lora: {train.parts.language: {train: lora, rank: 8, alpha: 16}}
          wide: {train.parts.language.alpha: 64}
        train.parts.language.rank: [2, 8]
        same: {a: {train.parts.language.train: lora}}
      """
    ).cells()
    XCTAssertEqual(cells.map(\.configuration.train.parts.language.rank), [2, 8, 2, 8])
    XCTAssertEqual(cells.map(\.configuration.train.parts.language.alpha), [16, 16, 64, 64])
  }

  func testASettingThatTheRunFileDoesNotKnow() throws {
    let cases = [
      ("vary: {train.seed: [9223372036854775807]}\nrepeats: 2", "'train.seed' is -9223372036854775808"),
      ("vary: {method: {a: {train.stepz: 3}}}", "did you mean 'steps'?"),
      ("vary: {train.steps: [0]}", "'train.steps' is 0, in cell train.steps=0,repeat=1"),
      ("vary: {train.steps: [many]}", "wants an integer"),
      ("vary: {method: {a: {data.validation: []}}}", "'data.validation' has no file, in cell method=a,repeat=1"),
      (
        "vary: {data_size: [3], method: {a: {stages: [{name: s, train: {steps: 3}}]}}}",
        "'stages' and a data axis are both given"
      ),
    ]
    for (text, says) in cases {
      let study = try study(text)
      XCTAssertThrowsError(try study.cells(), text) {
        XCTAssertTrue(($0 as? Fault)?.what.contains(says) ?? false, "\(text): \($0)")
      }
    }
  }
}
