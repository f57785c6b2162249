import Foundation
import Ground

/// What communication cost in one step, on this rank.
public struct CommunicationStatistics: Equatable, Sendable {
  /// Seconds that the communication thread spent on buckets.
  public var totalSeconds = 0.0
  /// Seconds that ``GradientReducer/finish()`` waited for it: what was not hidden behind the backward pass.
  public var exposedSeconds = 0.0
  /// Bytes that this rank sent.
  public var bytesSent = 0

  public init(totalSeconds: Double = 0, exposedSeconds: Double = 0, bytesSent: Int = 0) {
    self.totalSeconds = totalSeconds
    self.exposedSeconds = exposedSeconds
    self.bytesSent = bytesSent
  }
}

/// Sums gradients over the micro-batches of the global batch, bit for bit the same on any number of ranks.
///
/// The leaves are the micro-batches' gradients, zeros where a parameter had none; they are added along one fixed binary
/// tree over the micro-batch index (``TreeStack``). Each rank adds up its own run of micro-batches
/// (``microBatches(rank:of:count:)``) as they come; on its last one, every bucket that is complete goes to the
/// communication thread at once, in the order of the buckets.
///
/// A step is `beginStep`, `add` for each own micro-batch in order and for each parameter, `finish`. Use on one thread.
public final class GradientReducer {
  private let layout: BucketLayout
  private let communicator: any Communicator
  private let deterministic: Bool
  private let exchange: BucketExchange
  private let zeros = FlatBuffer(count: sumBlock)

  /// How many partial sums of the whole layout this rank keeps memory for.
  var slotCount: Int { exchange.sums.own.count }

  /// How many slots each rank shares.
  private var slotCounts: [Int]

  // Of the current step:
  private var plan = GlobalReduction(leaves: 0, ranks: 1)
  private var planned = -1
  private var own: LocalReduction { plan.local[communicator.rank] }
  /// How many leaves of each parameter are in.
  private var leavesIn: [Int]
  /// How many parameters of each bucket still miss leaves.
  private var missing: [Int]
  private var posted: [Posted<Void>] = []
  /// Gradients used where they lie: only with one rank and one micro-batch.
  private var borrowed: [Borrowed?]

  private struct Borrowed {
    let gradient: UnsafeBufferPointer<Float>
    let owner: AnyObject
  }

  /// What communication cost in the last finished step.
  public private(set) var statistics = CommunicationStatistics()

  /// - Parameters:
  ///   - deterministic: false: one all-reduce a bucket, whose bits depend on the number of ranks.
  ///   - profile: is told of every bucket's exchange.
  public init(
    layout: BucketLayout, communicator: any Communicator, deterministic: Bool = true, profile: Profile? = nil
  ) {
    self.layout = layout
    self.communicator = communicator
    self.deterministic = deterministic
    exchange = BucketExchange(
      layout: layout, sums: PartialSums(rank: communicator.rank, of: communicator.count, elements: layout.count),
      deterministic: deterministic, profile: profile)
    slotCounts = Array(repeating: 0, count: communicator.count)
    leavesIn = Array(repeating: 0, count: layout.sizes.count)
    missing = Array(repeating: 0, count: layout.buckets.count)
    borrowed = Array(repeating: nil, count: layout.sizes.count)
  }

  /// Begins a step whose global batch has `microBatchCount` micro-batches. Results of the last step become invalid.
  public func beginStep(microBatchCount: Int) throws {
    precondition(microBatchCount > 0, "beginStep: a global batch of \(microBatchCount) micro-batches")
    try waitForBuckets()
    if planned != microBatchCount {
      plan = GlobalReduction(leaves: microBatchCount, ranks: communicator.count)
      planned = microBatchCount
    }
    let onlyBorrows = communicator.count == 1 && microBatchCount == 1
    if deterministic, communicator.count > 1 { try shareSlots() }
    // Where gradients are only borrowed, a leaf that is none makes its slot when it comes.
    exchange.sums.reserve(onlyBorrows ? 0 : deterministic ? max(own.slots, 1) : 1)
    for parameter in layout.sizes.indices {
      leavesIn[parameter] = 0
      borrowed[parameter] = nil
    }
    for (i, bucket) in layout.buckets.enumerated() { missing[i] = own.run.isEmpty ? 0 : bucket.parameters.count }
    if own.run.isEmpty {
      if !deterministic { exchange.sums.own[0].pointer.update(repeating: 0, count: layout.count) }
      postCompleteBuckets()
    }
  }

  /// The plan is the same on all ranks, and so they do this in the same step.
  private func shareSlots() throws {
    let counts = zip(slotCounts, plan.local).map { max($0, $1.slots) }
    guard counts != slotCounts else { return }
    let (elements, places) = (layout.count, communicator.places)
    exchange.sums = try communicator.post("memory for gradients") { collectives in
      try PartialSums.shared(slotCounts: counts, elements: elements, places: places, on: collectives)
    }.wait()
    slotCounts = counts
  }

  /// Adds the gradient of one parameter in one micro-batch; nil when it has none there.
  ///
  /// For each parameter in order of the index; one that is left out has no gradient. On the last own micro-batch the
  /// order of the parameters should be that of the layout, since a bucket goes out when all before it are complete.
  /// - Parameter owner: keeps the memory of `gradient` alive. With one, and one micro-batch on one rank, the gradient
  ///   is not copied but used in place until the next step begins.
  public func add(
    microBatch index: Int, parameter: Int, gradient: UnsafeBufferPointer<Float>?, owner: AnyObject? = nil
  ) {
    let leaf = index - own.run.lowerBound
    precondition(own.run.contains(index), "add: micro-batch \(index) is not in \(own.run)")
    precondition(leaf >= leavesIn[parameter], "add: micro-batch \(index) of parameter \(parameter) is in already")
    precondition(
      gradient == nil || gradient?.count == layout.sizes[parameter],
      "add: \(gradient?.count ?? 0) elements for parameter \(parameter) of \(layout.sizes[parameter])")
    while leavesIn[parameter] < leaf { addLeaf(parameter, nil) }
    if let gradient, let owner, communicator.count == 1, planned == 1 {
      borrowed[parameter] = Borrowed(gradient: gradient, owner: owner)
      countLeaf(parameter)
    } else {
      addLeaf(parameter, gradient)
    }
  }

  /// Whether ``finish()`` would have to wait.
  public var isUnderWay: Bool { posted.last.map { !$0.isDone } ?? false }

  /// Waits for the sums. What has not been added counts as absent.
  public func finish() throws -> ReducedGradients {
    precondition(planned > 0, "finish: no step was begun")
    for parameter in layout.sizes.indices {
      while leavesIn[parameter] < own.run.count { addLeaf(parameter, nil) }
    }
    let began = DispatchTime.now().uptimeNanoseconds
    try waitForBuckets()
    let spent = exchange.takeStatistics()
    statistics = CommunicationStatistics(
      totalSeconds: spent.seconds,
      exposedSeconds: communicator.count == 1 ? 0 : Double(DispatchTime.now().uptimeNanoseconds - began) * 1e-9,
      bytesSent: spent.bytes)
    return reduced()
  }

  private func reduced() -> ReducedGradients {
    var gradients: [UnsafeBufferPointer<Float>] = []
    var present: [Bool] = []
    for (parameter, size) in layout.sizes.enumerated() {
      if let borrowed = borrowed[parameter] {
        gradients.append(borrowed.gradient)
        present.append(true)
      } else {
        let sums = exchange.sums.total.pointer
        gradients.append(UnsafeBufferPointer(start: sums + layout.starts[parameter], count: size))
        present.append(sums[layout.countPlace(parameter)] > 0)
      }
    }
    return ReducedGradients(gradients: gradients, present: present)
  }
}

/// The sums over the global batch, by parameter in the order of the layout; valid until the next step begins.
public struct ReducedGradients {
  /// Zeros where no micro-batch had a gradient.
  public let gradients: [UnsafeBufferPointer<Float>]
  /// Whether any micro-batch of the global batch had a gradient.
  public let present: [Bool]
}

// MARK: Leaves

extension GradientReducer {
  private func addLeaf(_ parameter: Int, _ gradient: UnsafeBufferPointer<Float>?) {
    if planned == 1, communicator.count == 1 { exchange.sums.reserve(1) }
    let leaf = leavesIn[parameter]
    let step =
      deterministic
      ? own.steps[leaf] : LocalReduction.Step(slot: min(leaf, 1), merges: min(leaf, 1))
    put(gradient?.baseAddress, at: layout.starts[parameter], count: layout.sizes[parameter], step)
    var count: Float = gradient == nil ? 0 : 1
    put(&count, at: layout.countPlace(parameter), count: 1, step)
    countLeaf(parameter)
  }

  /// Carries a leaf (zeros when nil) into the slots.
  private func put(_ leaf: UnsafePointer<Float>?, at place: Int, count: Int, _ step: LocalReduction.Step) {
    let slots = exchange.sums.own
    guard step.merges > 0 else {
      let target = slots[step.slot].pointer + place
      if let leaf { target.update(from: leaf, count: count) } else { target.update(repeating: 0, count: count) }
      return
    }
    for start in stride(from: 0, to: count, by: sumBlock) {
      let length = min(sumBlock, count - start)
      var source = leaf.map { $0 + start } ?? UnsafePointer(zeros.pointer)
      for slot in stride(from: step.slot - 1, through: step.slot - step.merges, by: -1) {
        let target = slots[slot].pointer + place + start
        Parallel.add(source, to: target, count: length)
        source = UnsafePointer(target)
      }
    }
  }

  private func countLeaf(_ parameter: Int) {
    leavesIn[parameter] += 1
    guard leavesIn[parameter] == own.run.count else { return }
    missing[layout.bucketOf[parameter]] -= 1
    postCompleteBuckets()
  }

  private func postCompleteBuckets() {
    guard communicator.count > 1 else { return }
    while posted.count < layout.buckets.count, missing[posted.count] == 0 {
      let bucket = posted.count
      posted.append(
        communicator.post("gradients, bucket \(bucket)") { [exchange, plan] collectives in
          try exchange.run(bucket: bucket, plan: plan, on: collectives)
        })
    }
  }

  private func waitForBuckets() throws {
    let results = posted.map { job in Result { try job.wait() } }
    posted.removeAll(keepingCapacity: true)
    for result in results { try result.get() }
  }
}
