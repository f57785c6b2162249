import Foundation
import Ground
import Metrics
import OrderedCollections
import Report
import RunFile

/// A study as a page: what was found, the table, and the figures over what was varied.
extension StudyTable {
  public func page(title: String, subtitle: String) -> Page {
    var page = Page(title: title, subtitle: subtitle, verdict: verdict)
    page.add("Results", note: note, table)
    for axis in axes where axis.isNumeric {
      page.add(
        "Over \(axis.name)",
        note: "Means over the repeats with their 95 % intervals, one chart for each combination of the other settings.",
        Columns(metrics.flatMap { charts($0, over: axis) }))
    }
    page.add(
      "Differences in quality", note: "Each combination's mean with its 95 % interval over the repeats.",
      Columns(metrics.map(intervalChart)))
    page.add(
      "Cost", note: "Training alone: means over the repeats, and the largest memory of any rank.", Columns(bars))
    if !failures.isEmpty {
      page.add(
        "Failed cells", note: "The study went on without them; they are tried again when it is started again.",
        Table([.text("cell"), .text("why")], texts: failures.map { [$0.cell.name, $0.line] }))
    }
    return page
  }

  private var note: String {
    let intervals =
      repeats < 2
      ? "One run each, so nothing is known of how far another seed would have gone."
      : "± is half of the 95 % interval of the mean over the repeats (Student's t): it says how far other seeds and other "
        + "choices of data would move the mean, not how far other validation records would."
    let differences =
      baseline.isEmpty
      ? ""
      : " Differences to \(baseline) are taken repeat by repeat, with the same seed and data; an interval that holds 0 "
        + "tells nothing apart. With many comparisons about one in twenty is wrong by chance."
    return "Figures on \(grouped(records)) validation records. " + intervals + differences
  }

  private var verdict: Verdict {
    let all = rows.reduce(0) { $0 + $1.measured.count }
    let isWhole = failures.isEmpty && missing == 0
    var headline = "\(all) of \(all + failures.count + missing) cells measured"
    if let metric = metrics.first, let best = best(metric), let figure = best.figures[metric] {
      headline += "; best \(metric): \(StudyTable.withHalf(figure)) with \(best.name)"
    }
    var steps = findings
    if !failures.isEmpty { steps.append("\(failures.count) cells failed: see below why, and start the study again") }
    if missing > 0 { steps.append("\(missing) cells are still to be run: start the study again") }
    if repeats < 2 { steps.append("set repeats to 3 or more, to know what is chance") }
    let hours = rows.reduce(0) { $0 + $1.measured.values.reduce(0) { $0 + $1.coreHours } }
    return Verdict(
      isWhole ? .note : .warning, headline, steps: steps,
      figures: [
        ("combinations", grouped(rows.count)), ("repeats", grouped(repeats)), ("validation records", grouped(records)),
        ("core-hours of training", StudyTable.short(hours)),
      ])
  }

  private var table: Table {
    let columns: [Table.Column] =
      axes.map { .text($0.name) } + [.number("runs")]
      + metrics.flatMap { name -> [Table.Column] in
        [.number(name)] + (baseline.isEmpty ? [] : [.number("− \(baseline)"), .text("")])
      } + [.number("memory, MiB"), .number("seconds"), .number("core-hours"), .number("trained")]
    let texts = rows.map { row -> [any Element] in
      var cells: [any Element] = axes.map { HTML(text: row.settings[$0.name] ?? "") }
      cells.append(HTML(text: "\(row.measured.count)" + (row.failed > 0 ? ", \(row.failed) failed" : "")))
      for name in metrics {
        cells.append(HTML(text: row.figures[name].map(StudyTable.withHalf) ?? "–"))
        guard !baseline.isEmpty else { continue }
        cells += difference(row, name)
      }
      guard !row.measured.isEmpty else { return cells + [String](repeating: "–", count: 4).map { HTML(text: $0) } }
      return cells
        + [
          grouped(row.peakMemory >> 20), StudyTable.short(row.mean(\.seconds)), StudyTable.short(row.mean(\.coreHours)),
          percent(row.mean(\.trainedShare)),
        ].map { HTML(text: $0) }
    }
    return Table(columns, texts, shown: 60)
  }

  private func difference(_ row: Row, _ metric: String) -> [any Element] {
    if row.isBaseline { return [HTML(text: "baseline"), HTML()] }
    guard let difference = row.differences?[metric] else { return [HTML(text: "–"), HTML()] }
    let badge: any Element =
      switch StudyTable.finding(metric, difference) {
      case .better: Badge(.good, "better")
      case .worse: Badge(.error, "worse")
      case .undecided: Badge(.note, "not told apart")
      }
    return [HTML(text: StudyTable.withEnds(difference)), badge]
  }

  /// At most so many lines in one chart.
  private static let mostSeries = 7

  /// One chart for each combination of the settings that are neither along the axis nor told apart by lines.
  private func charts(_ metric: String, over axis: StudyAxis) -> [any Element] {
    let others = axes.filter { $0.name != axis.name }
    let lines = others.max { $0.settings.count < $1.settings.count }?.name
    let combinations = OrderedDictionary(grouping: rows) { row in
      others.filter { $0.name != lines }.map { "\($0.name) \(row.settings[$0.name] ?? "")" }.joined(separator: ", ")
    }
    return combinations.flatMap { name, rows -> [any Element] in
      let series = OrderedDictionary(grouping: rows) { row in lines.flatMap { row.settings[$0] } ?? metric }.map {
        PointChart.Series($0.key, points(metric, over: axis, $0.value))
      }
      return stride(from: 0, to: series.count, by: StudyTable.mostSeries).map { start in
        PointChart(
          "\(metric) over \(axis.name)" + (name.isEmpty ? "" : ": \(name)"), x: axis.name, y: metric,
          Array(series[start..<min(start + StudyTable.mostSeries, series.count)]))
      }
    }
  }

  private func points(_ metric: String, over axis: StudyAxis, _ rows: [Row]) -> [PointChart.Point] {
    rows.compactMap { row in
      guard let x = row.amounts[axis.name], let figure = row.figures[metric] else { return nil }
      return PointChart.Point(x, figure.value, StudyTable.range(figure))
    }.sorted { $0.x < $1.x }
  }

  private static func range(_ interval: Interval) -> ClosedRange<Double>? {
    interval.low.isFinite && interval.low <= interval.high ? interval.low...interval.high : nil
  }

  /// Which colour a row has: that of its setting on the first axis.
  private func colour(_ row: Row) -> Int {
    axes.first?.settings.firstIndex { $0.name == row.settings[axes[0].name] } ?? 0
  }

  private func intervalChart(_ metric: String) -> any Element {
    IntervalChart(
      metric,
      rows.compactMap { row in
        guard let figure = row.figures[metric], figure.value.isFinite else { return nil }
        return IntervalChart.Row(
          shortName(row), figure.value, StudyTable.range(figure) ?? figure.value...figure.value,
          label: StudyTable.withHalf(figure), series: colour(row))
      }, axis: metric)
  }

  /// The settings alone.
  private func shortName(_ row: Row) -> String { row.settings.values.joined(separator: ", ") }

  private var bars: [any Element] {
    func chart(_ caption: String, _ value: (Row) -> Double, _ label: (Row) -> String) -> any Element {
      BarChart(
        caption,
        rows.filter { !$0.measured.isEmpty }.map {
          BarChart.Bar(shortName($0), value($0), label: label($0), series: colour($0))
        })
    }
    return [
      chart("seconds of training", { $0.mean(\.seconds) }, { StudyTable.short($0.mean(\.seconds)) }),
      chart("peak memory, MiB", { Double($0.peakMemory >> 20) }, { grouped($0.peakMemory >> 20) }),
    ]
  }
}
