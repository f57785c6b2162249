import Ground

// What an evaluation may hold beside its figures: groups, fairness, the use of pictures, other data, fields, labels.

extension EvaluationPage {
  func groups(_ groups: [JSON]) -> [any Element] {
    let names = groups.first?["metrics"]?.object.map { Array($0.keys) } ?? []
    return names.compactMap { name -> (any Element)? in
      let rows = groups.compactMap { group -> IntervalChart.Row? in
        guard let value = group["metrics"]?[name]?.double else { return nil }
        return EvaluationPage.row(
          group["value"]?.string ?? "(none)", group["intervals"]?[name] ?? .null, value: value,
          label: "\(Axis.label(value)), n \(grouped(group["count"]?.integer ?? 0))")
      }
      guard !rows.isEmpty else { return nil }
      return IntervalChart(
        name, rows, axis: unit(name), marks: metric(name).map { [(value: $0, name: "all")] } ?? [])
    }
  }

  // MARK: Fairness

  static let fairnessNote =
    "How the model's yes falls on the groups. Demographic parity compares how often it says yes; equalised odds how often it "
    + "finds what holds (true positives) and says yes where nothing does (false positives). A difference is that of the "
    + "highest and the lowest group: it is never negative, and above 0 by chance alone where groups are small."

  func fairness(_ column: JSON) -> [any Element] {
    func difference(_ outcome: JSON) -> Double { outcome["demographic_parity_difference"]?["value"]?.double ?? 0 }
    let outcomes = (column["outcomes"]?.object ?? [:]).elements.enumerated().sorted { a, b in
      let (left, right) = (difference(a.element.value), difference(b.element.value))
      return left != right ? left > right : a.offset < b.offset
    }.map(\.element)
    let shown = 3
    let rest = outcomes.dropFirst(shown).flatMap { outcome($0, $1) }
    return outcomes.prefix(shown).flatMap { outcome($0, $1) }
      + (rest.isEmpty ? [] : [Folded("\(grouped(outcomes.count - shown)) more, with smaller differences", rest)])
  }

  private func outcome(_ name: String, _ outcome: JSON) -> [any Element] {
    let charts = Columns([rates(of: name, outcome), differences(of: name, outcome)])
    let incomplete = (outcome["incomplete_groups"]?.array ?? []).compactMap(\.string)
    guard !incomplete.isEmpty else { return [charts] }
    return [
      charts,
      Paragraph(
        "'\(name)' holds of none or of all records of \(incomplete.joined(separator: ", ")): a rate that is not known "
          + "there counts as 0."),
    ]
  }

  private func rates(of name: String, _ outcome: JSON) -> any Element {
    let kinds = [
      ("selection_rate", "says so"), ("true_positive_rate", "true positives"),
      ("false_positive_rate", "false positives"),
    ]
    let rows = (outcome["groups"]?.array ?? []).flatMap { group in
      kinds.enumerated().compactMap { number, kind -> IntervalChart.Row? in
        guard let rate = group[kind.0], let value = rate["value"]?.double else { return nil }
        let name = group["value"]?.string ?? ""
        var row = EvaluationPage.row("\(kind.1), \(shortened(name, 10))", rate, value: value, label: Axis.label(value))
        row?.series = number
        return row
      }
    }
    return IntervalChart("'\(name)' by group", rows, axis: "share of the group's records", range: 0...1)
  }

  private func differences(of name: String, _ outcome: JSON) -> any Element {
    let names = [
      ("demographic_parity_difference", "demographic parity difference"),
      ("demographic_parity_ratio", "demographic parity ratio"),
      ("equalized_odds_difference", "equalised odds difference"),
      ("equal_opportunity_difference", "equal opportunity difference"),
    ]
    let rows = names.map { key, name -> [String] in
      let value = outcome[key]?["value"]?.double
      let span = EvaluationPage.interval(outcome[key]).map {
        "\(Axis.label($0.lowerBound)) … \(Axis.label($0.upperBound))"
      }
      return [name, value.map(Axis.label) ?? "–", span ?? "–"]
    }
    let groups = (outcome["groups"]?.array ?? []).map { group in
      [
        group["value"]?.string ?? "", grouped(group["count"]?.integer ?? 0), grouped(group["positives"]?.integer ?? 0),
      ]
    }
    let differences = Table([.text("'\(name)'"), .number("value"), .number("95 % between")], texts: rows)
    let counts = Table([.text("group"), .number("records"), .number("of which it holds")], texts: groups)
    return "\(differences)\(counts)" as HTML
  }

  // MARK: Pictures

  static let imageUseNote =
    "The same questions with the record's own picture, with that of another record, with a blank one, and with none. "
    + "What stays without the right picture comes from the words alone."

  static func sentence(_ verdict: String) -> String {
    switch verdict {
    case "used": "the pictures are used: with another picture the answers get worse, beyond chance"
    case "hardly used", "hardly_used":
      "the pictures are hardly used: with another one the right answers are less likely, but what is said is about as good"
    case "not used", "not_used": "the pictures are NOT used: the model answers from the words alone"
    default: verdict.replacing("_", with: " ")
    }
  }

  func imageUse(_ use: JSON) -> [any Element] {
    let name = use["metric"]?.string ?? ""
    let views = [
      ("right", "the right picture"), ("shuffled", "another picture"), ("blank", "a blank picture"),
      ("none", "no picture"),
    ]
    func bars(_ figure: (JSON) -> Double?) -> [BarChart.Bar] {
      views.compactMap { key, phrase in
        use[key].flatMap(figure).map { BarChart.Bar(phrase, $0, label: Axis.label($0), series: key == "right" ? 0 : 6) }
      }
    }
    let main = bars { $0[name]?.double ?? $0.object?.values.first?.double }
    let losses = bars { $0["loss"]?.double }
    var charts: [any Element] = [BarChart("\(name) with", main, full: main.allSatisfy { $0.value <= 1 } ? 1 : nil)]
    if !losses.isEmpty { charts.append(BarChart("loss of the right answer with, nats per token", losses)) }
    var words = EvaluationPage.sentence(use["verdict"]?.string ?? "")
    if let drop = use["drop"]?.double, let span = EvaluationPage.interval(use["drop_interval"]) {
      words +=
        ": \(name) falls by \(Axis.label(drop)), 95 % between \(Axis.label(span.lowerBound)) and "
        + "\(Axis.label(span.upperBound))"
    }
    let level: Level = use["verdict"]?.string == "used" ? .good : .warning
    return [Verdict(level, words.prefix(1).uppercased() + words.dropFirst()), Columns(charts)]
  }

  // MARK: Other data, fields, labels

  static let oodNote = "The same model on the records of --ood. A drop above 0 means that it is worse there."

  func outside(_ ood: JSON) -> any Element {
    let rows = (ood["drop"]?.object ?? [:]).elements.map { name, drop -> [String] in
      let span = EvaluationPage.interval(drop["interval"]).map {
        "\(Axis.label($0.lowerBound)) … \(Axis.label($0.upperBound))"
      }
      return [
        name, metric(name).map(Axis.label) ?? "–", ood["metrics"]?[name]?.double.map(Axis.label) ?? "–",
        drop["drop"]?.double.map(Axis.label) ?? "–", span ?? "–",
      ]
    }
    return Table(
      [.text("figure"), .number("here"), .number("elsewhere"), .number("drop"), .number("95 % between")], texts: rows)
  }

  static let fieldsNote =
    "Of each field how often the records have it, how often the model says one, and how many of those are right."

  func fields(_ fields: [(name: String, json: JSON)]) -> any Element {
    let rows = fields.map { name, json -> [String] in
      [name] + ["wanted", "said", "right"].map { grouped(json[$0]?.integer ?? 0) }
        + ["precision", "recall", "f1"].map { json[$0]?.double.map(Axis.label) ?? "–" }
    }
    let names = ["wanted", "said", "right", "precision", "recall", "F1"]
    return Table([.text("field")] + names.map { .number($0) }, texts: rows)
  }

  static let confusionNote = "Rows are what is right, columns what the model says."

  /// Of one label for each record, at most 12 different ones; nil of others.
  var confusion: Table? {
    let names = (report["labels"] ?? report["classes"])?.array?.compactMap(\.string) ?? []
    let pairs = samples.compactMap { sample in
      sample["label"]?.string.flatMap { label in sample["prediction"]?.string.map { (label, $0) } }
    }
    guard (2...12).contains(names.count), !pairs.isEmpty, pairs.count == samples.count else { return nil }
    let rows = names.map { right in
      [right] + names.map { said in grouped(pairs.count { $0.0 == right && $0.1 == said }) }
    }
    return Table([.text("right")] + names.map { .number("says \(shortened($0, 20))") }, texts: rows)
  }
}
