import Ground

/// How many predictions are JSON of a given form.
///
/// Figure `json_schema` in 0…1; text that is no JSON counts as wrong, as in ``JSONValidity``. It does not say whether
/// what the report says is true.
public struct JSONSchemaMatch: MeanMetric {
  public let name = "json_schema"
  /// Of answers that have no schema of their own.
  public let schema: JSONSchema?

  public init(_ schema: JSONSchema?) { self.schema = schema }

  public func scores(_ answers: [Answer]) throws -> [Double] {
    try answers.indices.map { index in
      let answer = answers[index]
      let own = try answer.schema.map { try JSONSchema($0, at: "\(answers.place(of: index)), json_schema") }
      guard let schema = own ?? schema else {
        throw Fault(
          .badData, "json_schema has no schema to judge by", at: answers.place(of: index),
          "name one by --match-schema, or give the record one under \"json_schema\"")
      }
      guard let value = try? JSON(parsing: answer.prediction, at: "") else { return 0 }
      return schema.accepts(value) ? 1 : 0
    }
  }
}
