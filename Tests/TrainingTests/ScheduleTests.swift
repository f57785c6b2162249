import XCTest

@testable import Training

/// Learning rates against `transformers.get_scheduler` (5.23), step by step.
final class ScheduleTests: XCTestCase {
  private func check(_ shape: Schedule.Shape, warmup: Int, _ wanted: [Double], line: UInt = #line) {
    let schedule = Schedule(shape: shape, warmupSteps: warmup, steps: wanted.count)
    for (index, wanted) in wanted.enumerated() {
      XCTAssertEqual(
        schedule.factor(step: index + 1), wanted, accuracy: 1e-15, "\(shape), step \(index + 1)", line: line)
    }
  }

  func testCosine() {
    check(
      .cosine, warmup: 3,
      [
        0.0, 0.3333333333333333, 0.6666666666666666, 1.0, 0.9504844339512095, 0.8117449009293668, 0.6112604669781572,
        0.38873953302184283, 0.18825509907063326, 0.04951556604879048,
      ])
    check(.cosine, warmup: 0, [1.0, 0.9045084971874737, 0.6545084971874737, 0.34549150281252633, 0.09549150281252633])
  }

  func testLinear() {
    check(
      .linear, warmup: 3,
      [
        0.0, 0.3333333333333333, 0.6666666666666666, 1.0, 0.8571428571428571, 0.7142857142857143, 0.5714285714285714,
        0.42857142857142855, 0.2857142857142857, 0.14285714285714285,
      ])
    check(.linear, warmup: 0, [1.0, 0.8, 0.6, 0.4, 0.2])
  }

  func testConstant() {
    check(.constant, warmup: 3, [0.0, 0.3333333333333333, 0.6666666666666666, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    check(.constant, warmup: 0, [1, 1, 1, 1, 1])
  }

  func testAWarmUpAsLongAsTheRun() {
    for shape in [Schedule.Shape.cosine, .linear, .constant] { check(shape, warmup: 4, [0.0, 0.25, 0.5, 0.75]) }
  }

  func testBeyondTheEndNothingIsNegative() {
    for shape in [Schedule.Shape.cosine, .linear] {
      let schedule = Schedule(shape: shape, warmupSteps: 2, steps: 6)
      XCTAssertEqual(schedule.factor(step: 7), 0, accuracy: 1e-15)
    }
    XCTAssertEqual(Schedule(shape: .linear, warmupSteps: 2, steps: 6).factor(step: 100), 0)
    XCTAssertEqual(Schedule(shape: .linear, warmupSteps: 9, steps: 6).factor(step: 10), 1, "a warm-up longer than it")
  }
}
