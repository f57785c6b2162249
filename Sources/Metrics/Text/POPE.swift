import Ground
import OrderedCollections

/// Whether a model says yes to objects that are not there (Li et al. 2023).
///
/// Figures in 0…1: `pope_accuracy`, `pope_precision`, `pope_recall` and `pope_f1` of "yes", and `pope_yes_ratio`, how
/// often the model says yes. A prediction means no where its first sentence has the word No, no or not, else yes, as
/// POPE's `evaluate.py` reads trimmed texts. Where nothing was said yes precision is 0; where nothing is, recall.
public struct POPE: TextMetric {
  public let name = "pope"
  public let width = 4

  public init() {}

  /// Rows of right and wrong yes, right and wrong no.
  public func tallies(_ answers: [Answer]) throws -> [Tally] {
    try answers.requireReferences(for: name, else: "give the record the answer yes or no")
    return try answers.indices.map { index in
      let said = POPE.meansYes(answers[index].prediction)
      let truth = try Set(answers[index].references.map { try POPE.truth($0, at: answers.place(of: index)) })
      guard truth.count == 1, let isThere = truth.first else {
        throw Fault(
          .badData, "pope finds both yes and no among the references", at: answers.place(of: index), "leave one of them"
        )
      }
      return [said && isThere, said && !isThere, !said && !isThere, !said && isThere].map { $0 ? 1 : 0 }
    }
  }

  public func figures(_ total: Tally) -> OrderedDictionary<String, Double> {
    let (rightYes, wrongYes, rightNo, wrongNo) = (total[0], total[1], total[2], total[3])
    let count = rightYes + wrongYes + rightNo + wrongNo
    // Over no answers nothing is defined; over some, a part of nothing is 0.
    func part(_ some: Double, of all: Double) -> Double { all > 0 ? some / all : count > 0 ? 0 : .nan }
    return [
      "pope_accuracy": part(rightYes + rightNo, of: count), "pope_precision": part(rightYes, of: rightYes + wrongYes),
      "pope_recall": part(rightYes, of: rightYes + wrongNo),
      "pope_f1": part(2 * rightYes, of: 2 * rightYes + wrongYes + wrongNo),
      "pope_yes_ratio": part(rightYes + wrongYes, of: count),
    ]
  }

  /// Whether an answer means yes: its first sentence has neither of the words No, no and not.
  public static func meansYes(_ prediction: String) -> Bool {
    let sentence = prediction.trimmed().unicodeScalars.prefix { $0 != "." }.filter { $0 != "," }
    let words = sentence.split(separator: " ", omittingEmptySubsequences: false).map {
      String(String.UnicodeScalarView($0))
    }
    return !words.contains { ["No", "not", "no"].contains($0) }
  }

  private static func truth(_ reference: String, at place: String) throws -> Bool {
    switch reference.trimmed().lowercased() {
    case "yes": return true
    case "no": return false
    default:
      throw Fault(
        .badData, "pope wants the reference yes or no, not '\(reference.prefix(40))'", at: place, "correct it")
    }
  }
}
