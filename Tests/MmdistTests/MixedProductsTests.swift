import TestSupport
import Tensors
import XCTest

/// Ranks that multiply in different ways, as on nodes of several kinds.
final class MixedProductsTests: ProgramTestCase {
  func testTheyAreToldByDoctorBenchAndTrain() throws {
    guard ProductKernels.available != [.openBLAS] else { throw XCTSkip("there is one way on this processor") }
    try write("run.yaml", Golden("llava-clip-llama").runFile())
    let said =
      "warning: ranks multiply in different ways, 1 with \(ProductKernels.available[0].rawValue) and 1 with OpenBLAS"
    let commands = [
      ["doctor"], ["bench", "-c", "run.yaml", "--steps", "1"],
      ["train", "-c", "run.yaml"] + sets("train.steps=1", "output=run"),
    ]
    for command in commands {
      for isMixed in [false, true] {
        let lastRank = isMixed ? ["MMDIST_PRODUCTS": "openBLAS"] : [:]
        let ended = try start(
          command + (command[0] == "train" ? ["--resume", "never"] : []), ranks: 2, lastRank: lastRank
        )
        .ended()
        XCTAssertEqual(ended.code, 0, ended.errors)
        XCTAssertEqual(
          (ended.output + ended.errors).contains(said), isMixed, "\(command): \(ended.output)\(ended.errors)")
      }
    }
  }
}
