import Foundation
import Ground
import Parallel
import Tensors

/// What the machine can do, as the program uses it: products, memory, sums over ranks.
///
/// All ranks measure at the same time, as they work in a step; every figure is the mean over them.
struct MachineMeasurement {
  /// GFLOP/s of x[rows, inputs] × weightᵀ, weight [outputs, inputs].
  struct ProductRate {
    let type: DType
    let threads: Int
    var rate: Double
  }

  /// GB/s, bytes read and bytes written both counted.
  struct CopyRate {
    let threads: Int
    var rate: Double
  }

  struct Reduction {
    let bytes: Int
    /// Whether it is in the order of the micro-batches, the same bits on any number of ranks; else MPI's own all-reduce.
    let isOrdered: Bool
    var seconds: Double
    /// GB/s: the bytes that are summed over its time.
    var rate: Double { Double(bytes) / seconds * 1e-9 }
  }

  /// Rows, inputs and outputs of the product: the widest layer of a model of a billion parameters, and a few sentences.
  static let productShape = (rows: 640, inputs: 2048, outputs: 5632)

  var products: [ProductRate] = []
  var copies: [CopyRate] = []
  var reductions: [Reduction] = []
  /// How many bytes each rank copies, from memory to memory.
  let copiedBytes: Int

  init(_ communicator: any Communicator, threads: Int) throws {
    copiedBytes = MachineMeasurement.bytesToCopy(ranksOfNode: communicator.hostRanks.count)
    let anyHasSeveral = try communicator.allReduceSum([threads])[0] > communicator.count
    for count in anyHasSeveral ? [1, threads] : [1] {
      let backend = try CPUBackend(threads: count)
      for type in [DType.float32, .bfloat16] {
        let rate = try communicator.mean { MachineMeasurement.productRate(type, backend) }
        products.append(ProductRate(type: type, threads: count, rate: rate))
      }
      let rate = try communicator.mean { MachineMeasurement.copyRate(bytes: copiedBytes, threads: count) }
      copies.append(CopyRate(threads: count, rate: rate))
    }
    guard communicator.count > 1 else { return }
    for bytes in [64 << 10, 4 << 20] {
      for isOrdered in [false, true] {
        let seconds = try communicator.mean {
          try isOrdered
            ? MachineMeasurement.orderedSumSeconds(bytes: bytes, communicator)
            : MachineMeasurement.sumSeconds(bytes: bytes, communicator)
        }
        reductions.append(Reduction(bytes: bytes, isOrdered: isOrdered, seconds: seconds))
      }
    }
  }

  /// The rate of products of a type with all threads of the rank, in FLOP/s.
  func productRate(_ type: DType) -> Double {
    (products.filter { $0.type == type }.max { $0.threads < $1.threads }?.rate ?? 0) * 1e9
  }
}

// MARK: One rank's figures

extension MachineMeasurement {
  private static func productRate(_ type: DType, _ backend: any Backend) -> Double {
    let (rows, inputs, outputs) = productShape
    let (x, weight) = (
      noise([rows, inputs], 1, backend), backend.cast(noise([outputs, inputs], 2, backend), to: type)
    )
    let context = Context(backend)
    return Double(2 * rows * inputs * outputs) / shortest { _ = context.linear(x, Projection(weight)) } * 1e-9
  }

  private static func noise(_ shape: [Int], _ seed: UInt64, _ backend: any Backend) -> Tensor {
    let stream = RandomStream([seed])
    return backend.tensor((0..<shape.reduce(1, *)).map { Float(stream.uniform(at: $0) - 0.5) }, shape)
  }

  /// Four times the last cache for all ranks of the node together, from 32 to 256 MiB a rank.
  private static func bytesToCopy(ranksOfNode: Int) -> Int {
    min(max(4 * lastCacheBytes / ranksOfNode, 32 << 20), 256 << 20)
  }

  /// The size of the largest cache of the first core; 32 MiB where the system does not say.
  private static var lastCacheBytes: Int {
    let sizes = (0..<8).compactMap { index -> Int? in
      let path = "/sys/devices/system/cpu/cpu0/cache/index\(index)/size"
      guard let text = try? String(contentsOfFile: path, encoding: .utf8), text.last(where: \.isLetter) == "K" else {
        return nil
      }
      return Int(text.prefix { $0.isNumber }).map { min($0, 1 << 22) << 10 }
    }
    return sizes.max() ?? 32 << 20
  }

  private static func copyRate(bytes: Int, threads: Int) -> Double {
    let copy = Copy(bytes: bytes)
    defer { copy.free() }
    let seconds = shortest {
      DispatchQueue.concurrentPerform(iterations: threads) { copy.run(share(of: bytes, rank: $0, of: threads)) }
    }
    return Double(2 * bytes) / seconds * 1e-9
  }

  /// The shortest of some runs of `body`, after one that is not counted, in seconds.
  private static func shortest(_ body: () -> Void) -> Double {
    body()
    var best = Double.infinity
    let began = Profile.now
    for run in 0..<50 where run < 3 || Profile.now - began < 300_000_000 {
      let start = Profile.now
      body()
      best = min(best, Double(Profile.now - start) * 1e-9)
    }
    return best
  }
}

/// Two blocks of memory; threads copy parts of their own from one to the other.
private struct Copy: @unchecked Sendable {
  private let source, target: UnsafeMutableRawPointer

  init(bytes: Int) {
    source = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 4096)
    target = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 4096)
    memset(source, 1, bytes)
    memset(target, 2, bytes)
  }

  func run(_ part: Range<Int>) { memcpy(target + part.lowerBound, source + part.lowerBound, part.count) }

  func free() {
    source.deallocate()
    target.deallocate()
  }
}

// MARK: All ranks together

extension MachineMeasurement {
  private static let rounds = 20

  /// MPI's all-reduce on the communication thread; the median of some.
  private static func sumSeconds(bytes: Int, _ communicator: any Communicator) throws -> Double {
    try communicator.post("measured sums") { collectives in
      var values = [Float](repeating: 1, count: bytes / MemoryLayout<Float>.size)
      var times: [UInt64] = []
      for _ in 0...rounds {
        let start = Profile.now
        try values.withUnsafeMutableBufferPointer { try collectives.allReduceSum($0) }
        times.append(Profile.now - start)
      }
      return median(times.dropFirst().map { Double($0) * 1e-9 })
    }.wait()
  }

  /// A bucket of gradients as a step with one micro-batch a rank sums it.
  private static func orderedSumSeconds(bytes: Int, _ communicator: any Communicator) throws -> Double {
    let layout = BucketLayout(parameterSizes: [bytes / MemoryLayout<Float>.size - 16])
    let reducer = GradientReducer(layout: layout, communicator: communicator)
    let values = [Float](repeating: 1, count: layout.sizes[0])
    var times: [Double] = []
    for _ in 0...rounds {
      try reducer.beginStep(microBatchCount: communicator.count)
      try communicator.barrier()
      values.withUnsafeBufferPointer { reducer.add(microBatch: communicator.rank, parameter: 0, gradient: $0) }
      _ = try reducer.finish()
      times.append(reducer.statistics.totalSeconds)
    }
    return median(Array(times.dropFirst()))
  }
}

/// The middle value, the lower of two.
func median(_ values: [Double]) -> Double { values.sorted()[(values.count - 1) / 2] }

extension Communicator {
  /// What all ranks measure at the same time, averaged.
  fileprivate func mean(_ measure: () throws -> Double) throws -> Double {
    try barrier()
    let own = try measure()
    return try allReduceSum([own])[0] / Double(count)
  }
}
