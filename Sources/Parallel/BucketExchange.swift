import Foundation
import Ground
import Synchronization

/// What the communication thread does with one bucket: adds up all ranks' partial sums in tree order.
///
/// The compute thread writes a bucket's part of the slots before it posts the bucket, and reads it after the job is
/// done; between that it is the communication thread's.
final class BucketExchange: @unchecked Sendable {
  private let layout: BucketLayout
  private let deterministic: Bool
  /// Changed only while no job is under way.
  var sums: PartialSums
  /// What ranks of other groups sent; used on the communication thread.
  private var staging = FlatBuffer(count: 0)
  /// The part whose sums every rank has for its own slice only; used on the communication thread.
  private var ungathered: Range<Int>?
  private let spent = Mutex((seconds: 0.0, bytes: 0))
  private let profile: Profile?

  init(layout: BucketLayout, sums: PartialSums, deterministic: Bool, profile: Profile? = nil) {
    self.layout = layout
    self.sums = sums
    self.deterministic = deterministic
    self.profile = profile
  }

  /// Seconds in communication and bytes sent since the last call.
  func takeStatistics() -> (seconds: Double, bytes: Int) {
    spent.withLock { spent in
      defer { spent = (0, 0) }
      return spent
    }
  }

  func run(bucket: Int, plan: GlobalReduction, on collectives: any Collectives) throws {
    let began = Profile.now
    let elements = layout.buckets[bucket].elements
    if bucket == 0 { ungathered = nil }  // what a step that failed has left
    var sent = 0
    for start in stride(from: elements.lowerBound, to: elements.upperBound, by: layout.largestExchange) {
      let part = start..<min(start + layout.largestExchange, elements.upperBound)
      sent += try deterministic ? reduce(part, plan, collectives) : sum(part, collectives)
    }
    if deterministic, bucket == layout.buckets.count - 1 { sent += try gatherRest(collectives) }
    let ended = Profile.now
    spent.withLock { $0 = ($0.seconds + Double(ended - began) * 1e-9, $0.bytes + sent) }
    guard let profile, profile.isRecording else { return }
    let work = Profile.Work(shapes: [[elements.count]], bytes: sent)
    profile.add(Profile.Span(kind: .exchange, name: "bucket \(bucket)", start: began, end: ended, work: work))
  }

  /// The plain way: one all-reduce, whose order of addition depends on the number of ranks.
  private func sum(_ part: Range<Int>, _ collectives: any Collectives) throws -> Int {
    let ranks = collectives.count
    try collectives.allReduceSum(
      UnsafeMutableBufferPointer(start: sums.total.pointer + part.lowerBound, count: part.count))
    return 2 * (ranks - 1) * part.count / ranks * MemoryLayout<Float>.size
  }
}

// MARK: In tree order

extension BucketExchange {
  /// Every rank owns a slice of `part`, gets or reaches all partial sums of it, and adds them up. Meanwhile all gather
  /// the slices of the part before: what travels one way does not wait for what travels the other, and ranks meet once a
  /// part.
  /// - Returns: the bytes that this rank sent.
  private func reduce(_ part: Range<Int>, _ plan: GlobalReduction, _ collectives: any Collectives) throws -> Int {
    let slices = Self.slices(of: part, ranks: collectives.count)
    let mine = slices[collectives.rank]
    let own = sums.own.prefix(plan.local[collectives.rank].nodes.count)
    let arriving = plan.local.indices.reduce(0) { $0 + (sums.slots[$1] == nil ? plan.local[$1].nodes.count : 0) }
    if staging.count < arriving * mine.count { staging = FlatBuffer(count: arriving * mine.count) }

    var nodes: [UnsafeMutablePointer<Float>] = []
    var room = staging.pointer
    var (sends, receives) = gathers(collectives)
    for (peer, local) in plan.local.enumerated() {
      if let reached = sums.slots[peer] {
        nodes += reached.prefix(local.nodes.count).map { $0.pointer + mine.lowerBound }
        continue
      }
      for slot in own where !slices[peer].isEmpty {
        sends.append(message(peer, slot.pointer + slices[peer].lowerBound, slices[peer].count))
      }
      for _ in local.nodes {
        nodes.append(room)
        if !mine.isEmpty { receives.append(message(peer, room, mine.count)) }
        room += mine.count
      }
    }
    ungathered = nil
    try collectives.exchange(sends: sends, receives: receives)
    add(nodes, plan.merges, into: sums.total.pointer + mine.lowerBound, count: mine.count)
    ungathered = part
    return sends.reduce(0) { $0 + $1.bytes.count }
  }

  /// Gathers what no later part will.
  /// - Returns: the bytes that this rank sent.
  private func gatherRest(_ collectives: any Collectives) throws -> Int {
    let (sends, receives) = gathers(collectives)
    ungathered = nil
    try collectives.exchange(sends: sends, receives: receives)
    if sums.areTakenInForOthers { try collectives.barrier() }
    return sends.reduce(0) { $0 + $1.bytes.count }
  }

  /// What spreads the sums of the last part: each rank's slice, once to every other group.
  private func gathers(_ collectives: any Collectives) -> (sends: [Message], receives: [Message]) {
    guard let ungathered else { return ([], []) }
    let slices = Self.slices(of: ungathered, ranks: collectives.count)
    let total = sums.total.pointer
    let far = sums.groups.filter { !$0.contains(collectives.rank) }
    let near = sums.groups.filter { $0.contains(collectives.rank) }
    let mine = slices[collectives.rank]
    let sends = far.map { group in
      message(PartialSums.receiver(in: group, of: collectives.rank), total + mine.lowerBound, mine.count)
    }
    let receives = far.joined().filter { peer in
      !slices[peer].isEmpty && near.contains { PartialSums.receiver(in: $0, of: peer) == collectives.rank }
    }
    return (
      mine.isEmpty ? [] : sends,
      receives.map { message($0, total + slices[$0].lowerBound, slices[$0].count) }
    )
  }

  /// `part` cut into one slice a rank, all but the last few of one size that is a multiple of 64 bytes.
  static func slices(of part: Range<Int>, ranks: Int) -> [Range<Int>] {
    let size = BucketLayout.aligned((part.count + ranks - 1) / ranks)
    return (0..<ranks).map { rank in
      min(part.lowerBound + rank * size, part.upperBound)..<min(part.lowerBound + (rank + 1) * size, part.upperBound)
    }
  }

  /// Adds up `nodes` as `merges` say; the last sum goes to `result`, which may be one of the nodes.
  private func add(
    _ nodes: [UnsafeMutablePointer<Float>], _ merges: [(target: Int, source: Int)],
    into result: UnsafeMutablePointer<Float>, count: Int
  ) {
    guard let last = merges.last else {
      if let only = nodes.first, only != result { result.update(from: only, count: count) }
      return
    }
    for start in stride(from: 0, to: count, by: sumBlock) {
      let length = min(sumBlock, count - start)
      for merge in merges.dropLast() {
        Parallel.add(nodes[merge.source] + start, to: nodes[merge.target] + start, count: length)
      }
      let left = nodes[last.target] + start
      let right = nodes[last.source] + start
      switch result + start {
      case left: Parallel.add(right, to: left, count: length)
      case right: Parallel.add(left: left, to: right, count: length)
      case let target: Parallel.add(left, right, into: target, count: length)
      }
    }
  }

  private func message(_ peer: Int, _ start: UnsafeMutablePointer<Float>, _ count: Int) -> Message {
    Message(peer: peer, bytes: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: start, count: count)))
  }
}
