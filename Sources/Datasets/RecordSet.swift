import Foundation
import Ground

/// Several sources, one after another, under one running number from 0.
public struct RecordSet: Sendable {
  public let sources: [RecordSource]
  private var numbering: Numbering

  public init(_ sources: [RecordSource]) {
    precondition(!sources.isEmpty, "RecordSet: no source")
    self.sources = sources
    numbering = Numbering(sources.map(\.count))
  }

  public var count: Int { numbering.count }
  /// How many records each source has.
  public var counts: [Int] { numbering.counts }

  /// The records less faulty ones, numbered anew.
  /// - Throws: `Fault(.badData)` where none is left.
  public func without(_ faults: [RecordFault]) throws -> RecordSet {
    var set = self
    set.numbering = try numbering.without(faults)
    return set
  }

  /// Record `index` of all.
  /// - Throws: `Fault` with `file:line`.
  public func record(_ index: Int) throws -> Record {
    let (source, number) = numbering.place(of: index)
    return try sources[source].record(number, index: index)
  }

  /// What can be seen wrong with record `index` without decoding a picture or making a token.
  @discardableResult
  public func check(_ index: Int) throws -> Record {
    let (source, number) = numbering.place(of: index)
    return try sources[source].check(number, index: index)
  }
}
