import XCTest

@testable import Report

final class ChartTests: XCTestCase {
  func testAxesHoldTheirNumbersWithRoundMarks() {
    for (low, high) in [(0.0, 1.0), (3, 97), (-0.2, 0.35), (1e-9, 2e-9), (5, 5), (0, 0), (1e12, 3e12)] {
      let axis = Axis(low, high)
      XCTAssertLessThanOrEqual(axis.low, low)
      XCTAssertGreaterThanOrEqual(axis.high, high)
      XCTAssertTrue((2...12).contains(axis.ticks.count), "\(low)…\(high): \(axis.ticks)")
      XCTAssertEqual(axis.place(axis.low), 0)
      XCTAssertEqual(axis.place(axis.high), 1)
    }
    XCTAssertEqual(Axis(3, 97).ticks, [0, 20, 40, 60, 80, 100])
    XCTAssertEqual(Axis(logarithmic: 3, 4000).ticks, [1, 10, 100, 1000, 10000])
    XCTAssertEqual(Axis(logarithmic: 1, 100).place(10), 0.5, accuracy: 1e-12)
  }

  func testFewNumbersAreMarkedThemselves() {
    let sizes = Axis(markedAt: [1024, 128, 128, 1024, 362])
    XCTAssertEqual(sizes.ticks, [128, 362, 1024])
    XCTAssertTrue(sizes.isLogarithmic)
    XCTAssertEqual(sizes.place(362), 0.5, accuracy: 1e-3)
    XCTAssertEqual(sizes.place(128), 0.06 / 1.12, accuracy: 1e-12)
    XCTAssertEqual(sizes.ticks.map(sizes.label(of:)), ["128", "362", "1,024"])
    let noise = Axis(markedAt: [0, 0.25, 0.5])
    XCTAssertFalse(noise.isLogarithmic)
    XCTAssertEqual(noise.place(0.25), 0.5, accuracy: 1e-12)
    XCTAssertEqual(noise.ticks.map(noise.label(of:)), ["0", "0.25", "0.5"])
    XCTAssertEqual(Axis(markedAt: [7]).place(7), 0.5)
    XCTAssertEqual(Axis(markedAt: []).ticks, [])
  }

  func testMarksAreToldApart() {
    for (low, high) in [(1.0803, 1.0829), (0.00018, 0.00023), (0, 1), (2e-6, 9e-6), (-0.2, 0.35), (10.5, 11.1)] {
      let axis = Axis(low, high)
      XCTAssertEqual(Set(axis.ticks.map(axis.label(of:))).count, axis.ticks.count, "\(axis.ticks.map(axis.label(of:)))")
    }
    let axis = Axis(1.0803, 1.0829)
    XCTAssertEqual(axis.label(of: axis.ticks[0]), "1.080")
    XCTAssertEqual(Axis(0, 5000).ticks.map(Axis(0, 5000).label(of:)).last, "5,000")
  }

  func testHistogramCountsEveryNumberOnce() {
    let values = (0..<1000).map { Double($0 * $0 % 997) } + [.nan, .infinity]
    let histogram = Histogram("lengths", of: values, x: "tokens")
    XCTAssertEqual(histogram.bins.map(\.count).reduce(0, +), 1000)
    for bin in histogram.bins {
      XCTAssertEqual(bin.count, values.count { bin.range.contains($0) }, "\(bin.range)")
    }
    let logarithmic = Histogram("aspects", of: [0, -1, 1, 10, 99], x: "x", bins: 2, isLogarithmic: true)
    XCTAssertEqual(logarithmic.bins.map(\.count), [1, 2])
    XCTAssertEqual(Histogram("none", of: [], x: "x").bins.map(\.count).reduce(0, +), 0)
  }

  func testThinnedCurveKeepsItsPeaks() {
    var points = (0..<100_000).map { (x: Double($0), y: 0.0) }
    points[4321].y = 9
    points[4322].y = -7
    let kept = LineChart.thinned(points[...])
    XCTAssertLessThanOrEqual(kept.count, 800)
    XCTAssertEqual(kept.map(\.y).max(), 9)
    XCTAssertEqual(kept.map(\.y).min(), -7)
    XCTAssertEqual(kept.map(\.x), kept.map(\.x).sorted())
  }

  func testCurveIsBrokenWhereItHasNoFigure() {
    let chart = LineChart(
      "loss", x: "step", y: "loss", [.init("a", [(1, 2), (2, 1), (3, .nan), (4, 1), (5, 2), (6, .infinity), (7, 3)])])
    let html = chart.html.source
    XCTAssertEqual(html.components(separatedBy: "<polyline").count - 1, 2)
    XCTAssertEqual(html.components(separatedBy: "<circle").count - 1, 1)
    XCTAssertFalse(html.contains("nan") || html.contains("inf"))
  }

  func testChartsOfNothingAreStillCharts() {
    XCTAssertTrue(LineChart("loss", x: "step", y: "loss", []).html.source.contains("no figures"))
    XCTAssertTrue(BarChart("answers", []).html.source.contains("<svg"))
    XCTAssertTrue(IntervalChart("rates", [], axis: "rate").html.source.contains("<svg"))
  }

  func testBarsAndIntervalsLieWhereTheirNumbersAre() {
    let bars = BarChart("x", [.init("a", 1), .init("b", 4)]).html.source
    XCTAssertTrue(bars.contains("width=\"75\"") && bars.contains("width=\"300\""), bars)
    let intervals = IntervalChart("x", [.init("a", 0.5, 0.25...0.75)], axis: "rate", range: 0...1).html.source
    // The field reaches from 190 to 530.
    XCTAssertTrue(intervals.contains("x1=\"275\" x2=\"445\"") && intervals.contains("cx=\"360\""), intervals)
  }

  func testNamesBesideRowsFit() {
    XCTAssertEqual(fitted("short"), "short")
    XCTAssertEqual(fitted(String(repeating: "a", count: 24)), String(repeating: "a", count: 24))
    XCTAssertEqual(fitted(String(repeating: "a", count: 25)), String(repeating: "a", count: 24) + "…")
    XCTAssertEqual(fitted(String(repeating: "好", count: 30)), String(repeating: "好", count: 12) + "…")
  }

  /// One record is no half record.
  func testCountsAreWhole() {
    let html = Histogram("c", of: [1.5, 2.5, 2.6], x: "x", bins: 3).html.source
    XCTAssertFalse(html.contains(">0.5<"), html)
  }
}
