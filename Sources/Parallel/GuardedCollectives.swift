import Ground

/// Collectives that begin with a short meeting of all ranks, in which they find out that one of them has failed or is
/// somewhere else in the program, so that nobody waits for what will never come.
///
/// In a meeting every rank brings (signature, −signature, failed, −depth) and learns the maxima. A signature tells the
/// operation and its size; the two maxima are opposite exactly when all signatures are equal. `depth` tells how many
/// agreements (``Communicator/agreeOnSuccess(_:)``) enclose the one that a rank has come to.
final class GuardedCollectives: Collectives {
  private let transport: any Transport
  /// Another rank has failed: nothing works until all ranks have met in an agreement.
  private(set) var isInterrupted = false
  /// The name of the job that is running.
  var job = ""

  init(_ transport: any Transport) { self.transport = transport }

  var rank: Int { transport.rank }
  var count: Int { transport.count }

  func barrier() throws { try meet("barrier", size: 0) }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, root: Int) throws {
    try meet("broadcast from rank \(root)", size: bytes.count)
    try transport.broadcast(bytes, root: root)
  }

  func allGather(_ bytes: UnsafeMutableRawBufferPointer, ranges: [Range<Int>]) throws {
    precondition(ranges.count == count, "all-gather: \(ranges.count) ranges for \(count) ranks")
    try meet("all-gather", size: ranges.last?.upperBound ?? 0)
    try transport.allGather(bytes, ranges: ranges)
  }

  func exchange(sends: [Message], receives: [Message]) throws {
    try meet("exchange", size: 0)
    try transport.exchange(sends: sends, receives: receives)
  }

  func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    try meet("sum of floats", size: values.count)
    try transport.allReduceSum(values)
  }

  func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    try meet("sum of doubles", size: values.count)
    try transport.allReduceSum(values)
  }

  func allReduceSum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    try meet("sum of integers", size: values.count)
    try transport.allReduceSum(values)
  }

  func close() throws {
    if !isInterrupted { try barrier() }
    try transport.close()
  }
}

// MARK: Meetings

extension GuardedCollectives {
  /// The depth that a rank outside of any agreement brings to a meeting.
  private static let noDepth: Int64 = 1 << 40

  private func meet(_ operation: String, size: Int) throws {
    if isInterrupted { throw Fault.interrupted }
    let description = job == operation ? operation : "\(job): \(operation)"
    let met = try bring(signature: signature(description, size), failed: false, depth: Self.noDepth, to: description)
    if met.areTogether { return }
    guard met.someoneFailed else { throw try disagreement(description, size) }
    isInterrupted = true
    throw Fault.interrupted
  }

  /// Waits until all ranks have come to the agreement at `depth`.
  ///
  /// Ranks that are still in other collectives are thrown out of them when somebody has failed.
  /// - Returns: false when others are in an agreement further out: this one is void and its rank must go there too.
  /// - Throws: ``MeetingTimeout`` at `deadline`; `Fault(.internalError)` when ranks are in different collectives though
  ///   nobody has failed.
  func comeToAgreement(depth: Int, failed: Bool, deadline: ContinuousClock.Instant?) throws -> Bool {
    let description = "agreement \(depth)"
    while true {
      let met = try bring(
        signature: signature(description, depth), failed: failed || isInterrupted, depth: Int64(depth),
        to: description, deadline: deadline)
      if met.areTogether {
        isInterrupted = false
        return true
      }
      guard met.someoneFailed else { throw try disagreement(description, depth) }
      if met.leastDepth < depth {
        isInterrupted = true
        return false
      }
    }
  }

  private struct Met {
    let areTogether: Bool
    let someoneFailed: Bool
    let leastDepth: Int64
  }

  private func bring(
    signature: Int64, failed: Bool, depth: Int64, to description: String, deadline: ContinuousClock.Instant? = nil
  ) throws -> Met {
    transport.doing = description
    let maxima = try transport.meet([signature, -signature, failed ? 1 : 0, -depth], deadline: deadline)
    return Met(areTogether: maxima[0] == -maxima[1], someoneFailed: maxima[2] > 0, leastDepth: -maxima[3])
  }

  private func signature(_ description: String, _ size: Int) -> Int64 {
    var hash = FNV1a()
    hash.add(description.utf8)
    withUnsafeBytes(of: size) { hash.add($0) }
    return Int64(hash.value >> 2)
  }

  /// Asks every rank where it is. All ranks come here together, since all have seen that they are not.
  private func disagreement(_ description: String, _ size: Int) throws -> Fault {
    let width = 96
    var words = [UInt8](repeating: 32, count: width * count)
    for (i, byte) in "\(description), size \(size)".utf8.prefix(width).enumerated() { words[rank * width + i] = byte }
    try words.withUnsafeMutableBytes { buffer in
      try transport.allGather(buffer, ranges: (0..<count).map { $0 * width..<($0 + 1) * width })
    }
    let doings = (0..<count).map { rank in
      String(decoding: words[rank * width..<(rank + 1) * width], as: UTF8.self).trimmingCharacters(in: .whitespaces)
    }
    let other = doings.firstIndex { $0 != doings[0] } ?? 0
    return Fault(
      .internalError,
      "the ranks are in different collectives: rank 0 in '\(doings[0])', rank \(other) in '\(doings[other])'",
      "report this with the run file")
  }
}

extension Fault {
  /// What a collective throws on a healthy rank when another rank has failed.
  static let interrupted = Fault(.internalError, "interrupted, since another rank failed", "see the other rank's fault")
}

/// The 64-bit FNV-1a hash, to tell different bytes apart; not against malice.
struct FNV1a {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }
}
