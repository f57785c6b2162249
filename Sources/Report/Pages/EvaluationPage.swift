import Foundation
import Ground

/// The page of an evaluation, from its `report.json`.
public struct EvaluationPage {
  public var title: String
  public var subtitle: String
  public var report: JSON
  /// How many samples the page shows.
  public var shown: Int
  let picture: (String) -> EmbeddedPicture?

  /// - Parameter picture: a small picture of a file; nil where it cannot be shown.
  public init(
    title: String, subtitle: String, report: JSON, shown: Int = 24,
    picture: @escaping (String) -> EmbeddedPicture? = { _ in nil }
  ) {
    (self.title, self.subtitle, self.report, self.shown, self.picture) = (title, subtitle, report, shown, picture)
  }

  var samples: [JSON] { report["samples"]?.array ?? [] }

  public var page: Page {
    var page = Page(
      title: title, subtitle: subtitle,
      verdict: Verdict(samples.isEmpty ? .warning : .note, headline, steps: remarks, figures: figures))
    let charts = intervalCharts
    if !charts.isEmpty {
      page.add(
        "Figures",
        note: "The dot is what was measured, the line where the true figure lies in 95 of 100 such sets of records: "
          + "what chance alone moves.", Columns(charts))
    }
    if let use = report["image_use"], use.object != nil {
      page.add("Is the picture used?", note: EvaluationPage.imageUseNote, imageUse(use))
    }
    for (column, groups) in report["groups"]?.object ?? [:] {
      page.add(
        "Groups by \(column)",
        note: "Each figure by the values of \(column); n is the number of records. Where lines overlap widely, groups "
          + "may differ by chance alone. The dashed line is all records.", Columns(self.groups(groups.array ?? [])))
    }
    for (column, fairness) in report["fairness"]?["columns"]?.object ?? [:] {
      page.add("Fairness by \(column)", note: EvaluationPage.fairnessNote, self.fairness(fairness))
    }
    if let ood = report["ood"], ood.object != nil {
      page.add("Data from elsewhere", note: EvaluationPage.oodNote, outside(ood))
    }
    if let fields = report["json_fields"]?.object, !fields.isEmpty {
      page.add("Fields of the reports", note: EvaluationPage.fieldsNote, self.fields(fields.elements.map { ($0, $1) }))
    }
    if let confusion { page.add("Which labels are taken for which", note: EvaluationPage.confusionNote, confusion) }
    addSamples(to: &page)
    return page
  }

  // MARK: Verdict

  /// What leads the page: the first figure that is no loss.
  private var main: (key: String, value: Double)? {
    let figures = (report["metrics"]?.object ?? [:]).elements.compactMap { name, value in
      value.double.map { (name, $0) }
    }
    let skipped: Set = ["loss", "perplexity", "supervised_tokens"]
    return (figures.first { !skipped.contains($0.0) } ?? figures.first).map { (key: $0.0, value: $0.1) }
  }

  private var headline: String {
    let count = samples.count
    guard count > 0 else { return "No record was evaluated" }
    guard let main else { return "\(grouped(count)) records evaluated" }
    let span = EvaluationPage.interval(report["intervals"]?[main.key]).map {
      ", with 95 % between \(Axis.label($0.lowerBound)) and \(Axis.label($0.upperBound))"
    }
    return "\(main.key) \(Axis.label(main.value)) over \(grouped(count)) record\(count == 1 ? "" : "s")\(span ?? "")"
  }

  /// What else a reader has to know first.
  private var remarks: [String] {
    let cut = samples.count { $0["cut_off"]?.bool == true }
    var remarks: [String] = []
    if cut > 0 {
      remarks.append(
        "\(grouped(cut)) of \(grouped(samples.count)) answers had no end: give --max-new-tokens more room, or the model "
          + "does not know when to stop")
    }
    if let verdict = report["image_use"]?["verdict"]?.string { remarks.append(EvaluationPage.sentence(verdict)) }
    if let worst = report["fairness"]?["demographic_parity_difference"]?.double, worst.isFinite {
      remarks.append("between groups the model says yes with a difference of up to \(Axis.label(worst))")
    }
    return remarks
  }

  private var figures: [(name: String, value: String)] {
    (report["metrics"]?.object ?? [:]).elements.prefix(10).compactMap { name, value in
      value.double.map { (name, Axis.label($0)) }
    }
  }

  // MARK: Figures

  func metric(_ name: String) -> Double? { report["metrics"]?[name]?.double }

  /// `{"value", "low", "high"}`; nil where it is not known.
  static func interval(_ json: JSON?) -> ClosedRange<Double>? {
    guard let low = json?["low"]?.double, let high = json?["high"]?.double, low <= high else { return nil }
    return low...high
  }

  static func row(_ name: String, _ json: JSON, value: Double? = nil, label: String? = nil) -> IntervalChart.Row? {
    guard let value = value ?? json["value"]?.double, value.isFinite else { return nil }
    return IntervalChart.Row(name, value, interval(json) ?? value...value, label: label)
  }

  /// Figures of 0…1 share a chart, each other has one of its own.
  private var intervalCharts: [any Element] {
    let rows = (report["intervals"]?.object ?? [:]).elements.compactMap { name, json in
      EvaluationPage.row(name, json, value: metric(name))
    }
    func isShare(_ row: IntervalChart.Row) -> Bool {
      !["loss", "perplexity"].contains(row.name) && row.interval.lowerBound >= 0 && row.interval.upperBound <= 1
    }
    let shares = rows.filter(isShare)
    let charts = shares.isEmpty ? [] : [IntervalChart("All records, of 1", shares, axis: "of 1", range: 0...1)]
    return charts
      + rows.filter { !isShare($0) }.map { IntervalChart($0.name, [$0], axis: unit($0.name)) }
  }

  /// A figure with its unit: the loss of answers is that of a token, of labels that of a record.
  func unit(_ name: String) -> String {
    guard name == "loss" else { return name }
    return report["labels"] == nil ? "loss, nats per token" : "loss, nats"
  }
}
