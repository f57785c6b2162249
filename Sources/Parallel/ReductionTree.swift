/// A node of the reduction tree: the sum over the leaves `start ..< start + size`; `size` is a power of two that
/// divides `start`, and leaves beyond the last micro-batch do not exist.
struct TreeNode: Equatable {
  var start: Int
  var size: Int
}

/// Adds up micro-batches 0 ..< M in the order of one fixed binary tree, whoever owns which of them.
///
/// A node over [s, s + 2z) is its left half plus its right half; where the right half lies wholly beyond the last leaf,
/// the node is its left half. Nodes are pushed from left to right; the stack holds those that wait for their sibling.
struct TreeStack {
  /// M, the number of leaves.
  let leaves: Int
  private(set) var nodes: [TreeNode] = []

  init(leaves: Int) { self.leaves = leaves }

  /// Pushes the node that follows the last one.
  /// - Returns: how often the two topmost sums are to be added, the upper one into the lower one.
  mutating func push(_ node: TreeNode) -> Int {
    var top = node
    var merges = 0
    while top.start > 0 || top.size < leaves {
      if top.start % (2 * top.size) == 0 {
        guard top.start + top.size >= leaves else { break }
      } else {
        guard let left = nodes.last, left.start == top.start - top.size, left.size == top.size else { break }
        nodes.removeLast()
        top.start = left.start
        merges += 1
      }
      top.size *= 2
    }
    nodes.append(top)
    return merges
  }
}

/// How one rank adds up its own leaves with few buffers ("slots"): a binary counter.
struct LocalReduction: Equatable {
  struct Step: Equatable {
    /// The slot that the leaf would go to.
    let slot: Int
    /// How many additions follow: slot − 1 += leaf, slot − 2 += slot − 1, …
    let merges: Int
  }

  let run: Range<Int>
  let steps: [Step]
  /// What the slots hold at the end, from slot 0.
  let nodes: [TreeNode]
  /// The number of slots that are ever written.
  let slots: Int

  init(run: Range<Int>, of leaves: Int) {
    var stack = TreeStack(leaves: leaves)
    var steps: [Step] = []
    for index in run {
      let slot = stack.nodes.count
      steps.append(Step(slot: slot, merges: stack.push(TreeNode(start: index, size: 1))))
    }
    self.run = run
    self.steps = steps
    nodes = stack.nodes
    slots = steps.map { $0.merges == 0 ? $0.slot + 1 : $0.slot }.max() ?? 0
  }
}

/// How the partial sums of all ranks are added up.
struct GlobalReduction {
  /// Each rank's own part, by rank.
  let local: [LocalReduction]
  /// The additions, over all ranks' nodes numbered in rank order: `target` += `source`. The last one gives the root.
  let merges: [(target: Int, source: Int)]
  /// The number of the first node of each rank.
  let firstNode: [Int]

  init(leaves: Int, ranks: Int) {
    local = (0..<ranks).map { LocalReduction(run: microBatches(rank: $0, of: ranks, count: leaves), of: leaves) }
    var firstNode: [Int] = []
    var stack = TreeStack(leaves: leaves)
    var waiting: [Int] = []
    var merges: [(target: Int, source: Int)] = []
    var next = 0
    for rank in local {
      firstNode.append(next)
      for node in rank.nodes {
        waiting.append(next)
        next += 1
        for _ in 0..<stack.push(node) {
          let source = waiting.removeLast()
          merges.append((waiting[waiting.count - 1], source))
        }
      }
    }
    precondition(waiting.count == min(leaves, 1), "the reduction tree has \(waiting.count) roots")
    self.firstNode = firstNode
    self.merges = merges
  }
}
