import Ground
import Models

/// What the stages of a run want of each part, as one model that serves them all.
///
/// A part is frozen in some stages and tuned in others, by one method that adds to it or as it is. What a method added
/// stays at work where a later stage freezes the part.
struct StagePlan {
  /// All that is at work in the model, in the order of the parts.
  let tunings: [any Tuning]
  /// For each stage, how every part is tuned in it; what adds something is the very one of `tunings`.
  let stages: [[any Tuning]]

  /// - Throws: `Fault(.badConfiguration)` where stages want different things of one part.
  init(_ methods: [[ModelPart: any TuningMethod]]) throws {
    var all: [any Tuning] = []
    var stages: [[any Tuning]] = methods.map { _ in [] }
    for part in ModelPart.allCases {
      let wanted = methods.map { $0[part] ?? .frozen }
      try StagePlan.check(wanted, of: part)
      var made: [(method: any TuningMethod, tuning: any Tuning)] = []
      for (stage, method) in wanted.enumerated() {
        let known = made.first { StagePlan.areEqual($0.method, method) }?.tuning
        let tuning = try known ?? method.tuning(of: part)
        if known == nil { made.append((method, tuning)) }
        stages[stage].append(tuning)
      }
      all += made.map(\.tuning)
    }
    tunings = all
    self.stages = stages
  }

  private static func check(_ methods: [any TuningMethod], of part: ModelPart) throws {
    let row = "stages: parts.\(part.rawValue)"
    let active = methods.filter { !($0 is Frozen) }
    let adding = active.filter { !($0 is FullTuning) }
    guard let first = adding.first else { return }
    guard !first.changesFromTheStart || !(methods[0] is Frozen) else {
      throw Fault(
        .badConfiguration,
        "what is put in front of the \(part.rawValue) part's sequences in a later stage would be there, untrained, in the first",
        at: row, "train it from the first stage on, or in a run of its own")
    }
    guard adding.allSatisfy({ areEqual($0, first) }) else {
      throw Fault(
        .badConfiguration, "the stages tune the \(part.rawValue) part by one method with different settings", at: row,
        "give it the same method and settings in every stage that does not freeze it")
    }
    guard adding.count == active.count else {
      throw Fault(
        .badConfiguration,
        "one stage trains the \(part.rawValue) part as it is and another adds to it: no adapter could hold both",
        at: row, "train it in one way, or do it in two runs with an export between them")
    }
  }

  private static func areEqual(_ a: any TuningMethod, _ b: any TuningMethod) -> Bool {
    func isEqual<Method: TuningMethod>(_ a: Method) -> Bool { b as? Method == a }
    return isEqual(a)
  }
}
