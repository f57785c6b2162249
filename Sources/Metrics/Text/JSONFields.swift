import Ground
import OrderedCollections

/// How many fields of a structured report are right.
///
/// A field is a value that holds no others, with the names that lead to it; items of a list share the names of the list, so
/// that their order does not count. Figures in 0…1: `json_fields_f1`, `json_fields_precision` and `json_fields_recall` over
/// the fields of all reports together, as the F1 of Donut (Kim et al. 2022), and `json_fields_exact`, the part of reports
/// that are the reference value for value. A prediction that is no JSON has no field. Numbers are equal by what they are
/// worth, texts by code points. Of several references the one with the best F1 counts.
public struct JSONFields: TextMetric {
  public let name = "json_fields"
  /// Right, said and wanted fields, whole reports, reports.
  public let width = 5

  public init() {}

  public func tallies(_ answers: [Answer]) throws -> [Tally] {
    try answers.requireReferences(for: name, else: "give the record an answer")
    return try answers.indices.map { index in
      let said = try? JSON(parsing: answers[index].prediction, at: "")
      let own = said.map(JSONFields.count) ?? [:]
      var best: Tally?
      for reference in try JSONFields.references(of: answers, index) {
        let wanted = JSONFields.count(reference)
        let row = [
          JSONFields.common(own, wanted), JSONFields.size(own), JSONFields.size(wanted),
          said?.isSame(as: reference) == true ? 1 : 0, 1,
        ]
        if best.map({ JSONFields.f1(row) > JSONFields.f1($0) }) ?? true { best = row }
      }
      return best ?? Tally(repeating: 0, count: width)
    }
  }

  public func figures(_ total: Tally) -> OrderedDictionary<String, Double> {
    // Over no reports nothing is defined; over some, a part of nothing is 0.
    func part(_ some: Double, of all: Double) -> Double { all > 0 ? some / all : total[4] > 0 ? 0 : .nan }
    return [
      "json_fields_f1": total[4] > 0 ? JSONFields.f1(total) : .nan,
      "json_fields_precision": part(total[0], of: total[1]), "json_fields_recall": part(total[0], of: total[2]),
      "json_fields_exact": total[3] / total[4],
    ]
  }

  /// Of reports without any field, 1.
  private static func f1(_ row: Tally) -> Double { row[1] + row[2] > 0 ? 2 * row[0] / (row[1] + row[2]) : 1 }

  private static func references(of answers: [Answer], _ index: Int) throws -> [JSON] {
    try answers[index].references.map { text in
      guard let json = try? JSON(parsing: text, at: "") else {
        throw Fault(
          .badData, "json_fields wants a reference that is JSON, not '\(text.prefix(40))'",
          at: answers.place(of: index),
          "correct it, or leave json_fields out")
      }
      return json
    }
  }
}

// MARK: Fields

extension JSONFields {
  /// The names that lead to a value, dots between them, and the value as JSON.
  struct Field: Hashable {
    let path: String
    let value: String
  }

  /// How often each field is there.
  static func count(_ json: JSON) -> [Field: Int] {
    var counts: [Field: Int] = [:]
    visit(json, "") { counts[$0, default: 0] += 1 }
    return counts
  }

  private static func visit(_ json: JSON, _ path: String, _ found: (Field) -> Void) {
    switch json {
    case .object(let members):
      for (name, value) in members {
        let own = name.replacing("\\", with: "\\\\").replacing(".", with: "\\.")
        visit(value, path.isEmpty ? own : "\(path).\(own)", found)
      }
    case .array(let items): for item in items { visit(item, path, found) }
    case .number(let value) where Int(exactly: value) != nil:
      found(Field(path: path, value: JSON.integer(Int(value)).description))
    case .null, .bool, .integer, .number, .string: found(Field(path: path, value: json.description))
    }
  }

  private static func common(_ a: [Field: Int], _ b: [Field: Int]) -> Double {
    Double(a.reduce(0) { $0 + min($1.value, b[$1.key] ?? 0) })
  }

  private static func size(_ counts: [Field: Int]) -> Double { Double(counts.values.reduce(0, +)) }

  /// Of each field of the references or predictions, by its names, how often it was wanted, said and said rightly; the
  /// most frequent first, at most `most`.
  /// - Throws: `Fault(.badData)` for a reference that is no JSON.
  public static func byField(
    _ answers: [Answer], most: Int = 100
  ) throws -> OrderedDictionary<String, (wanted: Int, said: Int, right: Int)> {
    var found: OrderedDictionary<String, (wanted: Int, said: Int, right: Int)> = [:]
    for (index, answer) in answers.enumerated() {
      guard let reference = try references(of: answers, index).first else { continue }
      let said = (try? JSON(parsing: answer.prediction, at: "")).map(count) ?? [:]
      let wanted = count(reference)
      for (field, number) in wanted { found[field.path, default: (0, 0, 0)].wanted += number }
      for (field, number) in said {
        found[field.path, default: (0, 0, 0)].said += number
        found[field.path, default: (0, 0, 0)].right += min(number, wanted[field] ?? 0)
      }
    }
    let sorted = found.elements.sorted {
      let (a, b) = ($0.value.wanted + $0.value.said, $1.value.wanted + $1.value.said)
      return a != b ? a > b : $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
    }
    return OrderedDictionary(uniqueKeysWithValues: sorted.prefix(most).map { ($0.key, $0.value) })
  }
}
