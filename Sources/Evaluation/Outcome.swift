import Foundation
import Ground
import Metrics
import OrderedCollections

/// Something that holds of a record or not, and that a model says or not: what fairness is about.
public struct Outcome: Equatable, Sendable {
  /// What counts as yes: a label, or an answer.
  public let name: String
  /// Of each record, whether it holds.
  public let truth: [Bool]
  /// Of each record, whether the model says so.
  public let decisions: [Bool]

  public init(_ name: String, truth: [Bool], decisions: [Bool]) {
    (self.name, self.truth, self.decisions) = (name, truth, decisions)
  }

  /// Of more values than these none is looked at unless it is named.
  public static let most = 32
}

extension Outcome {
  /// The outcomes of answers: of questions of yes and no `yes`; of others each right answer against all others, where
  /// there are at most ``most``.
  ///
  /// Answers are one where they are the same but for capitals, white space and a full stop. The right answer of a record
  /// is the most frequent of its references. Where all of them are yes or no, answers are read as POPE reads them.
  /// - Parameter positive: the answers to look at; empty: as above.
  /// - Throws: `Fault(.usage)` for one that no record has.
  public static func ofAnswers(
    predictions: [String], references: [[String]], positive: [String]
  ) throws -> [Outcome] {
    let truth = references.map { Outcome.mostFrequent($0.map(Outcome.plain)) }
    let values = OrderedSet(truth).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let isYesNo = !values.isEmpty && values.allSatisfy { $0 == "yes" || $0 == "no" }
    let said = predictions.map { isYesNo ? (POPE.meansYes($0) ? "yes" : "no") : Outcome.plain($0) }
    let known = isYesNo ? ["yes", "no"] : values
    for name in positive where !known.contains(plain(name)) {
      throw Fault(
        .usage, "no record's answer is '\(name)'\(didYouMean(plain(name), among: known))", at: "--positive",
        "name an answer of the records")
    }
    let standard = isYesNo ? ["yes"] : values.count <= most ? values : []
    return OrderedSet(positive.isEmpty ? standard : positive.map(plain)).map { name in
      Outcome(name, truth: truth.map { $0 == name }, decisions: said.map { $0 == name })
    }
  }

  /// The outcomes of one label for each record: of two labels the second, as for `auroc`; of more each against all
  /// others, where there are at most ``most``.
  public static func ofLabels(
    truth: [Int], predicted: [Int], names: [String], positive: [String]
  ) throws -> [Outcome] {
    try chosen(positive, of: names, standard: names.count == 2 ? [1] : Array(names.indices)).map { label in
      Outcome(names[label], truth: truth.map { $0 == label }, decisions: predicted.map { $0 == label })
    }
  }

  /// The outcomes of several labels for each record: every label by itself, where there are at most ``most``.
  public static func ofLabelSets(
    truth: [[Bool]], predicted: [[Bool]], names: [String], positive: [String]
  ) throws -> [Outcome] {
    try chosen(positive, of: names, standard: Array(names.indices)).map { label in
      Outcome(names[label], truth: truth.map { $0[label] }, decisions: predicted.map { $0[label] })
    }
  }

  private static func chosen(_ positive: [String], of names: [String], standard: [Int]) throws -> [Int] {
    guard !positive.isEmpty else { return standard.count <= most ? standard : [] }
    return try OrderedSet(positive).map { name in
      guard let number = names.firstIndex(of: name) else {
        throw Fault(
          .usage, "no label is called '\(name)'\(didYouMean(name, among: names))", at: "--positive",
          "use one of \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", …" : "")")
      }
      return number
    }
  }

  /// Without capitals, white space at the ends and between words, and one full stop at the end.
  private static func plain(_ text: String) -> String {
    let words = text.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
    return words.hasSuffix(".") ? String(words.dropLast()) : words
  }

  /// The text that comes most often, the first of several.
  private static func mostFrequent(_ texts: [String]) -> String {
    var counts: OrderedDictionary<String, Int> = [:]
    for text in texts { counts[text, default: 0] += 1 }
    return counts.elements.reduce((key: "", value: 0)) { $1.value > $0.value ? $1 : $0 }.key
  }
}
