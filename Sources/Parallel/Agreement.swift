import Foundation
import Ground

/// What one rank brings to an agreement.
enum Outcome: Equatable {
  case success
  /// A fault of this rank, and what the rank was doing.
  case failure(Fault, during: String)
  /// Thrown out of a collective, since another rank failed.
  case interrupted
}

extension Outcome {
  /// What a rank with this fault brings; `interrupted` tells that a collective of it was.
  init(of fault: Fault?, during activity: String, interrupted: Bool) {
    if let fault, fault.what != Fault.interrupted.what {
      self = .failure(fault, during: activity)
    } else {
      self = fault == nil && !interrupted ? .success : .interrupted
    }
  }

  var bytes: [UInt8] {
    switch self {
    case .success: []
    case .interrupted: Array("null".utf8)
    case .failure(let fault, let activity):
      Array(
        JSON.object([
          "kind": .integer(Int(fault.kind.rawValue)), "what": .string(fault.what),
          "place": fault.place.map(JSON.string) ?? .null, "remedy": .string(fault.remedy),
          "activity": .string(activity),
        ]).description.utf8)
    }
  }

  init(bytes: [UInt8]) throws {
    if bytes.isEmpty {
      self = .success
      return
    }
    let record = try JSON(parsing: String(decoding: bytes, as: UTF8.self), at: "another rank's fault")
    guard let kind = record["kind"]?.integer.flatMap({ Fault.Kind(rawValue: Int32(truncatingIfNeeded: $0)) }) else {
      self = .interrupted
      return
    }
    self = .failure(
      Fault(kind, record["what"]?.string ?? "", at: record["place"]?.string, record["remedy"]?.string ?? ""),
      during: record["activity"]?.string ?? "")
  }

  /// The fault that all ranks throw, given what each of them brought; nil when all succeeded.
  static func verdict(_ outcomes: [Outcome], places: [RankPlace]) -> Fault? {
    if outcomes.allSatisfy({ $0 == .success }) { return nil }
    for (rank, outcome) in outcomes.enumerated() {
      guard case .failure(let fault, let activity) = outcome else { continue }
      let isShared = outcomes.allSatisfy { $0 == outcome }
      return isShared ? fault : fault.told(by: rank, at: places[rank], during: activity)
    }
    return .interrupted
  }
}

extension Fault {
  /// Any error as a fault; one that is not a `Fault` is a defect of the program.
  init(reporting error: any Error) {
    self = error as? Fault ?? Fault(.internalError, "\(error)", "report this")
  }

  /// The same fault with the rank, its host and what it was doing in front.
  func told(by rank: Int, at place: RankPlace, during activity: String = "") -> Fault {
    let doing = activity.isEmpty ? "" : ", \(activity)"
    return Fault(kind, "rank \(rank) on \(place.host)\(doing): \(what)", at: self.place, remedy)
  }
}

extension Communicator {
  /// Makes sure that all ranks hold the same `bytes`, such as a program version or a configuration.
  /// - Throws: `Fault(.badConfiguration)` on every rank, naming `what` and the first rank that differs from rank 0.
  public func agree(on bytes: [UInt8], what: String) throws {
    var hash = FNV1a()
    hash.add(bytes)
    guard let other = try firstToDiffer(hash) else { return }
    throw Fault(
      .badConfiguration,
      "rank \(other) on \(places[other].host) has another \(what) than rank 0 on \(places[0].host)",
      "start the same program with the same run file on every rank")
  }

  /// Makes sure that all ranks have read the same from files that may change meanwhile, or that are others on other hosts.
  /// - Parameters:
  ///   - digest: of what this rank has read.
  ///   - what: what a rank with another digest has read, such as "other weights".
  ///   - place: where it was read.
  /// - Throws: `Fault(.inputOutput)` on every rank, naming the first rank that differs from rank 0.
  public func agree(onRead digest: [UInt8], _ what: String, at place: String?) throws {
    var hash = FNV1a()
    hash.add(digest)
    guard let other = try firstToDiffer(hash) else { return }
    throw Fault(
      .inputOutput, "rank \(other) on \(places[other].host) has read \(what) than rank 0 on \(places[0].host)",
      at: place, "start again while nothing writes there, with equal copies where hosts have their own")
  }

  /// The first rank whose bytes are not those of rank 0.
  private func firstToDiffer(_ hash: FNV1a) throws -> Int? {
    let digests = try allGather(Parallel.bytes(of: hash.value))
    return digests.firstIndex { $0 != digests[0] }
  }
}
