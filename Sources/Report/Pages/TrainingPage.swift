import Ground

/// The page of a training run, from the lines of its `metrics.jsonl`.
public struct TrainingPage {
  /// A part of the model and how it is trained.
  public struct Part: Sendable {
    public var name: String
    public var method: String
    public var note: String

    public init(_ name: String, _ method: String, note: String = "") {
      (self.name, self.method, self.note) = (name, method, note)
    }
  }

  public var title: String
  public var subtitle: String
  /// The lines in the order of their steps.
  public var lines: [JSON]
  /// How many steps the run is to have; 0: not known.
  public var plannedSteps: Int
  public var parts: [Part]
  /// The run file as it was resolved.
  public var runFile: String

  public init(
    title: String, subtitle: String, lines: [JSON], plannedSteps: Int = 0, parts: [Part] = [], runFile: String = ""
  ) {
    (self.title, self.subtitle, self.lines, self.plannedSteps) = (title, subtitle, lines, plannedSteps)
    (self.parts, self.runFile) = (parts, runFile)
  }

  public var page: Page {
    var page = Page(title: title, subtitle: subtitle, verdict: verdict)
    var losses: [any Element] = [curves("Loss by step", lossUnit, [("loss", ["loss"])])]
    if names(under: "losses").count > 1 { losses.append(curves("Loss by objective", "loss", members("losses"))) }
    page.add(
      "Loss",
      note:
        "How far the model is from what it is taught, on the batch of each step: lower is better. What was measured on "
        + "held-out records says more: where it rises while the loss falls, the model learns by heart.",
      Columns(losses + evaluations()))
    if let use = imageUse { page.add("Is the picture used?", note: TrainingPage.imageUseNote, use) }
    page.add(
      "Rates and gradients",
      note: "Gradients of one part that tower above those of the others drown them; single peaks are cut by clipping.",
      Columns(
        [
          curves("Learning rate by part", "rate", members("learning_rates")),
          curves(
            "Gradient norm before clipping", "norm", [("all", ["grad_norm"])] + members("grad_norms"),
            isLogarithmic: true),
        ] + measured()))
    let speed = curves("Tokens per second", "tokens/s", [("tokens/s", ["tokens_per_second"])])
    page.add(
      "Speed and memory",
      note: "Over all ranks; a step that waits for data or communication computes nothing meanwhile.",
      Columns(
        (lines.contains { $0["tokens_per_second"]?.double != nil } ? [speed] : []) + [
          curves(
            "Where a step waits", "seconds",
            [
              ("whole step", ["seconds"]), ("data", ["data_wait_s"]),
              ("communication", ["communication", "exposed_s"]),
              ("of that, slower ranks", ["communication", "skew_s"]),
            ]),
          curves("Memory of the largest rank", "GiB", [("memory", ["peak_memory_bytes"])], scale: 1 / Double(1 << 30)),
        ]))
    if !parts.isEmpty {
      page.add(
        "Parts of the model",
        Table([.text("part"), .text("trained by"), .text("")], texts: parts.map { [$0.name, $0.method, $0.note] }))
    }
    if !runFile.isEmpty { page.add("Run file", Folded("as it was resolved", [Code(runFile)])) }
    return page
  }

  // MARK: Verdict

  private var verdict: Verdict {
    let losses = lines.compactMap { $0["loss"]?.double }
    let steps = lines.last?["step"]?.integer ?? 0
    guard let last = losses.last, losses.count == lines.count, losses.allSatisfy(\.isFinite) else {
      return Verdict(
        lines.isEmpty ? .warning : .error,
        lines.isEmpty ? "No step yet" : "The loss is not a number from step \(firstWithoutLoss) on",
        steps: lines.isEmpty
          ? [] : ["lower the learning rate or the clip norm, and start from the last good checkpoint"])
    }
    let tenth = max(1, losses.count / 10)
    let (first, end) = (mean(losses.prefix(tenth)), mean(losses.suffix(tenth)))
    let figures = [
      ("steps", plannedSteps > 0 ? "\(grouped(steps)) of \(grouped(plannedSteps))" : grouped(steps)),
      ("last loss", Axis.label(last)), ("tokens", grouped(sum("tokens"))), ("pictures", grouped(sum("images"))),
      ("time of steps", TrainingPage.duration(lines.compactMap { $0["seconds"]?.double }.reduce(0, +))),
    ]
    let course = "the loss went from \(Axis.label(first)) to \(Axis.label(end)) (means of the first and last tenth)"
    let isDone = plannedSteps == 0 || steps >= plannedSteps
    guard end < first || losses.count < 20 else {
      return Verdict(
        .warning, "Not learning: \(course)",
        steps: ["look at the learning rates", "see what is trained with mmdist check --show 3"] + imageWarning,
        figures: figures)
    }
    return Verdict(
      isDone ? .good : .note, "\(isDone ? "Done" : "Under way"): \(course)", steps: imageWarning, figures: figures)
  }

  private var firstWithoutLoss: Int {
    lines.first { !($0["loss"]?.double?.isFinite ?? false) }?["step"]?.integer ?? 0
  }

  private func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }
  private func sum(_ key: String) -> Int { lines.reduce(0) { $0 + ($1[key]?.integer ?? 0) } }

  static func duration(_ seconds: Double) -> String {
    let whole = Int(min(max(seconds, 0), 1e9).rounded())
    if whole < 120 { return "\(whole) s" }
    if whole < 7200 { return "\(whole / 60) min" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }

  // MARK: Pictures

  private static let imageUseNote =
    "A few held-out records with their own pictures and with those of others. Where both losses are alike, the answers come "
    + "from the words alone; the gain is what the right picture is worth."

  private var looks: [(step: Int, gain: Double)] {
    lines.compactMap { line in
      line["image_use"]?["gain"]?.double.flatMap { gain in line["step"]?.integer.map { ($0, gain) } }
    }
  }

  /// As the run itself warns: when in three looks in a row the right picture is worth less than 0.01 nats a token.
  private var imageWarning: [String] {
    let last = looks.suffix(3)
    guard last.count == 3, last.allSatisfy({ $0.gain < 0.01 }) else { return [] }
    return ["the pictures are not used: with those of other records the held-out answers are as likely"]
  }

  private var imageUse: (any Element)? {
    guard !looks.isEmpty else { return nil }
    return Columns([
      curves(
        "Held-out loss with the right and with other pictures", "nats per token",
        [("right picture", ["image_use", "right"]), ("picture of another record", ["image_use", "shuffled"])]),
      curves("What the right picture is worth", "nats per token", [("gain", ["image_use", "gain"])]),
    ])
  }

  // MARK: Curves

  /// Cross-entropy alone has a unit.
  private var lossUnit: String { names(under: "losses") == ["cross_entropy"] ? "loss, nats per token" : "loss" }

  /// What a run measures only now and then, or not at all.
  private func measured() -> [any Element] {
    var norms: [(name: String, path: [String])] = []
    for objective in names(under: "objective_grad_norms") {
      var parts: [String] = []
      for line in lines {
        for part in (line["objective_grad_norms"]?[objective]?.object ?? [:]).keys where !parts.contains(part) {
          parts.append(part)
        }
      }
      norms += parts.map { ("\(objective), \($0)", ["objective_grad_norms", objective, $0]) }
    }
    let sizes = members("update_sizes")
    return
      (norms.isEmpty ? [] : [curves("Gradient norm by objective and part", "norm", norms, isLogarithmic: true)])
      + (sizes.isEmpty ? [] : [curves("Size of an update by part", "‖Δw‖ / ‖w‖", sizes, isLogarithmic: true)])
      + members("learned").map { curves("Learned: \($0.name)", $0.name, [$0]) }
  }

  /// Where a stage begins.
  private var stages: [(x: Double, name: String)] {
    var (stages, last): ([(x: Double, name: String)], String?) = ([], nil)
    for line in lines {
      guard let stage = line["stage"]?.string, stage != last, let step = line["step"]?.double else { continue }
      stages.append((step, stage))
      last = stage
    }
    return stages.count > 1 ? stages : []
  }

  /// The names of the members of an object, in the order in which they first come.
  private func names(under key: String) -> [String] {
    var names: [String] = []
    for line in lines { for name in (line[key]?.object ?? [:]).keys where !names.contains(name) { names.append(name) } }
    return names
  }

  private func members(_ key: String) -> [(name: String, path: [String])] { names(under: key).map { ($0, [key, $0]) } }

  private func curves(
    _ caption: String, _ unit: String, _ series: [(name: String, path: [String])], isLogarithmic: Bool = false,
    scale: Double = 1
  ) -> any Element {
    var curves: [LineChart.Series] = []
    for item in series {
      let curve = LineChart.Series(
        item.name,
        lines.compactMap { line in
          guard let step = line["step"]?.double,
            let value = item.path.reduce(Optional(line), { $0?[$1] })?.double
          else { return nil }
          return (step, value * scale)
        })
      guard !curve.points.isEmpty else { continue }
      // Of curves that lie on each other one would hide the others.
      if let same = curves.firstIndex(where: { TrainingPage.areSame($0.points, curve.points) }) {
        curves[same].name += " and \(item.name)"
      } else {
        curves.append(curve)
      }
    }
    let isMerged = curves.count == 1 && series.count > 1 && curves[0].name.contains(" and ")
    return LineChart(
      isMerged ? "\(caption): \(curves[0].name) alike" : caption, x: "step", y: unit, curves,
      isLogarithmic: isLogarithmic, marks: stages)
  }

  private static func areSame(_ a: [(x: Double, y: Double)], _ b: [(x: Double, y: Double)]) -> Bool {
    a.count > 1 && a.count == b.count && zip(a, b).allSatisfy { $0 == $1 }
  }

  /// What was measured on held-out records now and then: a chart for each figure.
  private func evaluations() -> [any Element] {
    names(under: "evaluation").filter { name in lines.contains { $0["evaluation"]?[name]?.double != nil } }.map {
      name in
      curves("Held-out records: \(name)", name, [(name, ["evaluation", name])])
    }
  }
}
