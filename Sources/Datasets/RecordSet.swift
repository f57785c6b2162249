import Foundation
import Ground

/// Several sources, one after another, under one running number from 0.
public struct RecordSet: Sendable {
  public let sources: [RecordSource]
  /// Number of the first record of each source, and after them the count of all.
  private let starts: [Int]

  public init(_ sources: [RecordSource]) {
    precondition(!sources.isEmpty, "RecordSet: no source")
    self.sources = sources
    starts = sources.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
  }

  public var count: Int { starts[sources.count] }

  /// Record `index` of all.
  /// - Throws: `Fault` with `file:line`.
  public func record(_ index: Int) throws -> Record {
    let (source, number) = locate(index)
    return try sources[source].record(number, index: index)
  }

  /// What can be seen wrong with record `index` without decoding a picture or making a token.
  @discardableResult
  public func check(_ index: Int) throws -> Record {
    let (source, number) = locate(index)
    return try sources[source].check(number, index: index)
  }

  private func locate(_ index: Int) -> (source: Int, number: Int) {
    precondition(index >= 0 && index < count, "RecordSet: record \(index) of \(count)")
    let source = sources.indices.last { starts[$0] <= index } ?? 0
    return (source, index - starts[source])
  }
}
