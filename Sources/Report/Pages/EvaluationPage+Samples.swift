import Ground

// The records of an evaluation, worst first.

extension EvaluationPage {
  /// What is no score of a sample.
  private static let bookkeeping: Set<String> = [
    "index", "nll", "tokens", "question", "prediction", "references", "images", "cut_off", "label", "groups", "text",
    "logits", "image_to_text", "text_to_image", "place", "loss", "probability",
  ]

  /// Of answers the mean loss of a token, of labels that of the record.
  private static func loss(_ sample: JSON) -> Double? {
    if let loss = sample["loss"]?.double { return loss }
    guard let nll = sample["nll"]?.double, let tokens = sample["tokens"]?.double, tokens > 0 else { return nil }
    return nll / tokens
  }

  /// How good a sample is, more is better: its first score, whether its label is right, or minus the place of what is right.
  private static func score(_ sample: JSON) -> Double? {
    let own = (sample.object ?? [:]).elements.lazy.filter { !bookkeeping.contains($0.key) }.compactMap(\.value.double)
      .first
    if let own { return own }
    if let label = sample["label"], let said = sample["prediction"] { return label == said ? 1 : 0 }
    return sample["image_to_text"]?.double.map { -$0 }
  }

  private static func isWorse(_ a: JSON, _ b: JSON) -> Bool? {
    let (left, right) = (score(a) ?? 0, score(b) ?? 0)
    if left != right { return left < right }
    let (one, other) = (loss(a) ?? 0, loss(b) ?? 0)
    return one == other ? nil : one > other
  }

  func addSamples(to page: inout Page) {
    let samples = samples
    let losses = samples.compactMap(EvaluationPage.loss)
    if losses.count > 1 {
      let ofLabels = samples[0]["loss"] != nil
      page.add(
        "Loss by record",
        note: "To the right stand the records that surprise the model most: rare cases, or wrong labels.",
        Histogram(
          ofLabels ? "Loss of a record" : "Mean loss of a token", of: losses, x: ofLabels ? "nats" : "nats per token"))
    }
    guard !samples.isEmpty else { return }
    let order = samples.enumerated().sorted { a, b in
      EvaluationPage.isWorse(a.element, b.element) ?? (a.offset < b.offset)
    }
    page.add(
      "Records, worst first",
      note: samples.count > shown
        ? "Of \(grouped(samples.count)) records the \(shown) with the lowest score, of those alike the highest loss."
        : "",
      Gallery(order.prefix(shown).map { card($0.element) }))
    // What goes well belongs to the impression too.
    let best = order.suffix(max(0, min(6, samples.count - shown))).reversed().map { card($0.element) }
    if !best.isEmpty { page.add("Records, best first", Gallery(Array(best))) }
  }

  private func card(_ sample: JSON) -> Gallery.Card {
    var turns: [(role: String, text: String)] = []
    func add(_ role: String, _ text: String) { turns.append((role, text.isEmpty ? "(nothing)" : shortened(text, 400))) }
    if let text = sample["question"]?.string { add("question", text) }
    if let text = sample["text"]?.string { add("text", text) }
    if let wanted = sample["references"] ?? sample["label"] { add("wanted", EvaluationPage.plain(wanted)) }
    if let said = sample["prediction"] {
      add(sample["cut_off"]?.bool == true ? "says (cut off)" : "says", EvaluationPage.plain(said))
    }
    for (key, role) in [("image_to_text", "place of its caption"), ("text_to_image", "places of the picture")] {
      if let place = sample[key] { add(role, EvaluationPage.plain(place)) }
    }
    if let probability = sample["probability"]?.double { add("probability", Axis.label(probability)) }
    if let loss = EvaluationPage.loss(sample) { add("loss", Axis.label(loss)) }
    for (name, value) in sample.object ?? [:] where !EvaluationPage.bookkeeping.contains(name) {
      if let value = value.double { add(name, Axis.label(value)) }
    }
    let groups = (sample["groups"]?.object ?? [:]).map { "\($0.key): \(EvaluationPage.plain($0.value))" }
    if !groups.isEmpty { add("groups", groups.joined(separator: ", ")) }
    let pictures = (sample["images"]?.array ?? []).compactMap(\.string).prefix(3).compactMap(picture)
    return Gallery.Card(pictures, heading: "record \(sample["index"]?.integer ?? 0)", [Transcript(turns)])
  }

  /// A text as it is, of a list each different item once.
  static func plain(_ json: JSON) -> String {
    if let text = json.string { return text }
    guard let items = json.array else { return json.description }
    var texts: [String] = []
    for text in items.map({ $0.string ?? $0.description }) where !texts.contains(text) { texts.append(text) }
    return texts.isEmpty ? "(none)" : texts.joined(separator: " | ")
  }
}
