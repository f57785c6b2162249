import Foundation
import Ground

/// The page of `mmdist drift`, from its report.
public struct DriftPage {
  public var subtitle: String
  public var report: JSON

  public init(subtitle: String, report: JSON) { (self.subtitle, self.report) = (subtitle, report) }

  /// What each figure says, and what none would be.
  private static let meanings = [
    "frechet_distance": "between the two clouds of embeddings, their means and spreads; 0: alike",
    "mmd": "how well a kernel tells the two sets of embeddings apart; about 0: not at all",
    "mmd_bandwidth": "the distance that the kernel takes for near",
    "cosine_of_means": "of the mean embeddings; 1: they point the same way",
    "answer_kl": "how surprising the answers of the second are to who knows those of the first; 0: alike",
    "answer_total_variation": "the part of answers that would have to change; 0: alike, 1: no answer in common",
    "answer_js": "between the two sets of answers, in nats; 0: alike, 0.69: nothing in common",
    "disagreement": "the part of the same questions that are answered otherwise",
  ]

  public var page: Page {
    let figures = (report["metrics"]?.object ?? [:]).elements.compactMap { name, value in
      value.double.map { (name, $0) }
    }
    let disagreement = report["metrics"]?["disagreement"]?.double
    let headline =
      disagreement.map { "\(percent($0)) of the questions are answered otherwise" }
      ?? figures.first.map { "\($0.0) \(Axis.label($0.1))" } ?? "Nothing was measured"
    var page = Page(
      title: "Drift", subtitle: subtitle,
      verdict: Verdict(
        figures.isEmpty ? .warning : .note, headline, figures: figures.prefix(6).map { ($0.0, Axis.label($0.1)) }))
    func both(_ key: String) -> [String] {
      let items = report[key]?.array ?? []
      return (0..<2).map { items.indices.contains($0) ? EvaluationPage.plain(items[$0]) : "–" }
    }
    page.add(
      "What was compared", note: "Embeddings are those of the part '\(report["part"]?.string ?? "")'.",
      Table(
        [.text(""), .text("first"), .text("second")],
        texts: [["data"] + both("data"), ["weights"] + both("weights"), ["records"] + both("records")]))
    page.add(
      "Figures",
      Table(
        [.text("figure"), .number("value"), .text("what it says")],
        texts: figures.map { [$0.0, Axis.label($0.1), DriftPage.meanings[$0.0] ?? ""] }))
    return page
  }
}

/// The page of `mmdist matrix`, from its report.
public struct MatrixPage {
  public var subtitle: String
  public var report: JSON

  public init(subtitle: String, report: JSON) { (self.subtitle, self.report) = (subtitle, report) }

  private var tasks: [String] { (report["tasks"]?.array ?? []).compactMap(\.string) }
  private var models: [String] { (report["models"]?.array ?? []).compactMap(\.string) }
  private var scores: [[Double]] {
    (report["scores"]?.array ?? []).map { ($0.array ?? []).map { $0.double ?? .nan } }
  }
  private var metric: String { report["metric"]?.string ?? "score" }

  public var page: Page {
    let figures = (report["metrics"]?.object ?? [:]).elements.compactMap { name, value in
      value.double.map { (name, $0) }
    }
    var page = Page(
      title: "Tasks in sequence", subtitle: subtitle,
      verdict: Verdict(level, headline, figures: figures.map { ($0.0.replacing("_", with: " "), Axis.label($0.1)) }))
    page.add(
      "\(metric) of every task after every training",
      note:
        "A row is the model after that training; higher is better\(metric == "loss" || metric == "perplexity" ? ", so losses stand with a minus" : "").",
      Table(
        [.text("model")] + tasks.map { .number($0) },
        texts: zip(models, scores).map { model, row in
          [model] + tasks.indices.map { row.indices.contains($0) && row[$0].isFinite ? Axis.label(row[$0]) : "–" }
        }))
    let curves = tasks.enumerated().map { number, task in
      LineChart.Series(
        task,
        scores.enumerated().map { (Double($0.offset), $0.element.indices.contains(number) ? $0.element[number] : .nan) }
      )
    }
    page.add(
      "The course of each task", note: "A line that falls after its own training is what was forgotten.",
      Columns([
        LineChart("\(metric) by training", x: "model, from 0, the first row", y: metric, curves),
        BarChart("forgotten by the end, best score before − last score", forgotten),
      ]))
    return page
  }

  private var forgotten: [BarChart.Bar] {
    (report["forgetting"]?.object ?? [:]).elements.compactMap { task, value in
      value.double.map { BarChart.Bar(task, $0, label: Axis.label($0), series: 1) }
    }
  }

  private var forgetting: Double? { report["metrics"]?["forgetting"]?.double.flatMap { $0.isFinite ? $0 : nil } }
  private var level: Level { forgetting.map { $0 > 0 ? .warning : .good } ?? .note }

  private var headline: String {
    let mean = report["metrics"]?["average_accuracy"]?.double.map {
      "mean \(metric) \(Axis.label($0)) after the last training"
    }
    guard let forgetting else { return mean ?? "Nothing was measured" }
    let words = forgetting > 0 ? "\(Axis.label(forgetting)) of each earlier task forgotten" : "nothing forgotten"
    return [mean, words].compactMap(\.self).joined(separator: ", ")
  }
}
