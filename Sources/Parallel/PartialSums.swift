import Foundation
import Ground

/// The partial sums of gradients that this rank can reach, and what all of them add up to.
///
/// Ranks of one node reach each other's, and share one total: nothing is copied between them.
final class PartialSums: @unchecked Sendable {
  /// All ranks, in groups that reach each other's memory.
  let groups: [[Int]]
  /// By rank, for each rank of the own group: its partial sums ("slots"), each of the whole layout.
  private(set) var slots: [Int: [FlatBuffer]]
  private let rank: Int
  private let elements: Int
  private let groupTotal: FlatBuffer?

  /// For a rank that reaches no other's; there are no slots yet.
  /// - Parameter elements: of a slot.
  convenience init(rank: Int, of ranks: Int, elements: Int) {
    self.init(rank: rank, groups: (0..<ranks).map { [$0] }, slots: [:], elements: elements, groupTotal: nil)
  }

  private init(rank: Int, groups: [[Int]], slots: [Int: [FlatBuffer]], elements: Int, groupTotal: FlatBuffer?) {
    self.rank = rank
    self.groups = groups
    self.slots = slots
    self.elements = elements
    self.groupTotal = groupTotal
  }

  var own: [FlatBuffer] { slots[rank, default: []] }

  /// What all partial sums of all ranks add up to: one for the group, or in place of the own first slot.
  var total: FlatBuffer { groupTotal ?? own[0] }

  /// Makes sure that there are `count` own slots. Shared ones are as many as were asked for.
  func reserve(_ count: Int) {
    guard groupTotal == nil else { return }
    while own.count < count { slots[rank, default: []].append(FlatBuffer(count: elements)) }
  }

  /// Who of a group takes in, for all of it, what `rank` of another group has added up.
  static func receiver(in group: [Int], of rank: Int) -> Int { group[rank % group.count] }

  /// Whether some wait for what others of their group take in.
  var areTakenInForOthers: Bool { groups.count > 1 && groups.contains { $0.count > 1 } }
}

// MARK: Sharing

extension PartialSums {
  /// Memory that the ranks of a node share, or every rank's own where a node of the job cannot. All ranks call it.
  /// - Parameters:
  ///   - slotCounts: how many slots each rank has.
  ///   - elements: of a slot.
  ///   - places: where each rank runs.
  static func shared(
    slotCounts: [Int], elements: Int, places: [RankPlace], on collectives: any Collectives
  ) throws -> PartialSums {
    let rank = collectives.rank
    let alone = PartialSums(rank: rank, of: places.count, elements: elements)
    let groups = Dictionary(grouping: places.indices) { places[$0].node }.values.sorted { $0[0] < $1[0] }
    guard groups.count < places.count, let group = groups.first(where: { $0.contains(rank) }) else { return alone }

    // The first rank of a group has room for its total, behind its slots.
    let size = { (member: Int) in (slotCounts[member] + (member == group[0] ? 1 : 0)) * elements }
    let own = SharedMemory(count: size(rank))
    let addresses = try collectives.allGather(own.map { $0.address.flatMap { bytes(of: $0) } } ?? [])
    var memories: [Int: SharedMemory] = [:]
    for member in group {
      memories[member] =
        member == rank ? own : SharedMemory(at: numbers(in: addresses[member], Int64.self), count: size(member))
    }
    let succeeded = try collectives.allGather([memories.count == group.count ? 1 : 0])
    own?.seal()
    guard succeeded.allSatisfy({ $0 == [1] }), let first = memories[group[0]] else { return alone }
    let slots = memories.map { member, memory in
      (member, (0..<slotCounts[member]).map { FlatBuffer(memory, from: $0 * elements, count: elements) })
    }
    return PartialSums(
      rank: rank, groups: groups, slots: Dictionary(uniqueKeysWithValues: slots), elements: elements,
      groupTotal: FlatBuffer(first, from: slotCounts[group[0]] * elements, count: elements))
  }
}
