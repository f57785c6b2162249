import Ground

/// The page of a comparison of two evaluations, from the JSON that `mmdist compare` writes.
public struct ComparisonPage {
  public var report: JSON
  /// What was found, in a sentence.
  public var headline: String
  /// Whether that is good news; nil: it may be chance.
  public var isBetter: Bool?
  /// How many changed samples of each kind the page shows.
  public var shown: Int
  private let picture: (String) -> EmbeddedPicture?

  /// - Parameter picture: a small picture of a file; nil where it cannot be shown.
  public init(
    report: JSON, headline: String, isBetter: Bool? = nil, shown: Int = 24,
    picture: @escaping (String) -> EmbeddedPicture? = { _ in nil }
  ) {
    (self.report, self.headline, self.isBetter) = (report, headline, isBetter)
    (self.shown, self.picture) = (shown, picture)
  }

  private struct Difference {
    let first: Double
    let second: Double
    let difference: Double
    let interval: ClosedRange<Double>?

    init?(_ json: JSON) {
      guard let first = json["first"]?.double, let second = json["second"]?.double,
        let difference = json["difference"]?.double
      else { return nil }
      (self.first, self.second, self.difference) = (first, second, difference)
      interval = json["low"]?.double.flatMap { low in
        json["high"]?.double.flatMap { low <= $0 ? low...$0 : nil }
      }
    }
  }

  private var differences: [(name: String, own: Difference)] {
    (report["differences"]?.object ?? [:]).elements.compactMap { name, json in Difference(json).map { (name, $0) } }
  }

  private var metric: String { report["changes"]?["metric"]?.string ?? "" }

  public var page: Page {
    let (first, second) = (report["first"]?.string ?? "first", report["second"]?.string ?? "second")
    var page = Page(
      title: "Comparison of two evaluations",
      subtitle: "first: \(first) · second: \(second) · \(grouped(report["records"]?.integer ?? 0)) records",
      verdict: Verdict(isBetter.map { $0 ? .good : .warning } ?? .note, headline, figures: figures))
    page.add(
      "Figures",
      note: "Each row is one figure. The difference is second − first; its interval holds the true one in 95 of 100 "
        + "cases. Where it does not hold 0, the difference is more than chance.",
      table, Columns(charts))
    for (column, groups) in report["groups"]?.object ?? [:] {
      page.add(
        "Groups by \(column)", note: "\(metric), second − first. A group of few records has a wide interval.",
        groupChart(groups))
    }
    let isRightOrWrong = report["changes"]?["right_or_wrong"]?.bool ?? false
    add("worse", isRightOrWrong ? "From right to wrong" : "Worse than before", to: &page)
    add("better", isRightOrWrong ? "From wrong to right" : "Better than before", to: &page)
    return page
  }

  private func changes(_ key: String) -> [JSON] { report["changes"]?[key]?.array ?? [] }

  private var figures: [(name: String, value: String)] {
    var figures = differences.prefix(4).map { ("\($0.name), first → second", course($0.own)) }
    if report["changes"] != nil {
      figures.append(("better", grouped(changes("better").count)))
      figures.append(("worse", grouped(changes("worse").count)))
    }
    return figures
  }

  private func course(_ own: Difference) -> String { "\(Axis.label(own.first)) → \(Axis.label(own.second))" }

  private static func signed(_ value: Double) -> String { (value > 0 ? "+" : "") + Axis.label(value) }

  private var table: Table {
    let columns: [Table.Column] = [
      .text("figure"), .number("first"), .number("second"), .number("second − first"), .number("95 % between"),
      .number("better"), .number("worse"), .number("same"), .number("chance of that"),
    ]
    let rows = differences.map { name, own -> [String] in
      let json = report["differences"]?[name]
      let counts = ["better", "worse", "same"].map { json?[$0]?.integer.map(grouped) ?? "" }
      let span = own.interval.map {
        "\(ComparisonPage.signed($0.lowerBound)) … \(ComparisonPage.signed($0.upperBound))"
      }
      return [
        name, Axis.label(own.first), Axis.label(own.second), ComparisonPage.signed(own.difference), span ?? "–",
      ] + counts + [json?["sign_test"]?.double.map(Axis.label) ?? ""]
    }
    return Table(columns, texts: rows)
  }

  /// Figures of 0…1 share an axis; each other has one of its own.
  private var charts: [any Element] {
    let isShare = { (own: Difference) in (0...1).contains(own.first) && (0...1).contains(own.second) }
    func row(_ name: String, _ own: Difference) -> IntervalChart.Row? {
      own.interval.map { IntervalChart.Row(name, own.difference, $0, label: ComparisonPage.signed(own.difference)) }
    }
    let shares = differences.filter { isShare($0.own) && $0.name != "loss" }
    let others = differences.filter { !isShare($0.own) || $0.name == "loss" }
    let none = [(value: 0.0, name: "no change")]
    return ([shares] + others.map { [$0] }).compactMap { some -> (any Element)? in
      let rows = some.compactMap { row($0.name, $0.own) }
      guard !rows.isEmpty else { return nil }
      let caption = some.count == 1 ? "Change of \(some[0].name)" : "Change of each figure"
      return IntervalChart(caption, rows, axis: "second − first", marks: none)
    }
  }

  private func groupChart(_ groups: JSON) -> any Element {
    let rows = (groups.object ?? [:]).elements.compactMap { value, group -> IntervalChart.Row? in
      guard let own = group[metric].flatMap(Difference.init), let interval = own.interval else { return nil }
      let label = "\(ComparisonPage.signed(own.difference)), n \(grouped(group["count"]?.integer ?? 0))"
      return IntervalChart.Row(value, own.difference, interval, label: label)
    }
    return IntervalChart(
      "Change of \(metric)", rows, axis: "\(metric), second − first", marks: [(value: 0, name: "no change")])
  }

  private func add(_ key: String, _ heading: String, to page: inout Page) {
    let all = changes(key)
    guard report["changes"] != nil else { return }
    let note =
      all.isEmpty
      ? "None."
      : "\(grouped(all.count)) records by \(metric)\(all.count > shown ? ", of which \(shown) are shown" : "")."
    page.add(
      "\(heading) (\(grouped(all.count)))", note: note, all.isEmpty ? [] : [Gallery(all.prefix(shown).map(card))])
  }

  private func card(_ sample: JSON) -> Gallery.Card {
    var turns: [(role: String, text: String)] = []
    if let text = sample["question"]?.string ?? sample["text"]?.string {
      turns.append(("question", shortened(text, 400)))
    }
    let wanted = sample["references"] ?? sample["label"]
    if let wanted { turns.append(("wanted", shortened(ComparisonPage.plain(wanted), 400))) }
    for (name, said) in zip(["first", "second"], sample["predictions"]?.array ?? []) where !said.isNull {
      let text = ComparisonPage.plain(said)
      turns.append((name, text.allSatisfy(\.isWhitespace) ? "(nothing)" : shortened(text, 160)))
    }
    let scores = (sample["scores"]?.array ?? []).compactMap(\.double).map(Axis.label)
    if scores.count == 2 { turns.append((metric, scores.joined(separator: " → "))) }
    let groups = (sample["groups"]?.object ?? [:]).map { "\($0.key): \(ComparisonPage.plain($0.value))" }
    if !groups.isEmpty { turns.append(("groups", groups.joined(separator: ", "))) }
    let pictures = (sample["images"]?.array ?? []).compactMap(\.string).prefix(3).compactMap(picture)
    return Gallery.Card(pictures, heading: "record \(sample["index"]?.integer ?? 0)", [Transcript(turns)])
  }

  /// A text as it is, of a list each different one once.
  private static func plain(_ json: JSON) -> String {
    if let text = json.string { return text }
    guard let items = json.array else { return json.description }
    var texts: [String] = []
    for text in items.map({ $0.string ?? $0.description }) where !texts.contains(text) { texts.append(text) }
    return texts.joined(separator: " | ")
  }
}
