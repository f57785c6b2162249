/// Where each parameter's gradient lies in one flat buffer, and how that is cut into buckets that travel as one.
///
/// Parameters are numbered in the order in which their gradients become complete: the reverse of the forward pass.
/// A bucket holds the gradients of consecutive parameters, each begun on a multiple of 64 bytes, and after them one
/// number a parameter: in how many micro-batches it had a gradient.
public struct BucketLayout: Sendable {
  public struct Bucket: Equatable, Sendable {
    public let parameters: Range<Int>
    /// The part of the flat buffer, in elements.
    public let elements: Range<Int>
    /// Where the counts of micro-batches with a gradient begin.
    public let counts: Int
  }

  /// Elements of each parameter.
  public let sizes: [Int]
  /// Where each parameter begins in the flat buffer, in elements.
  public let starts: [Int]
  public let buckets: [Bucket]
  /// The bucket of each parameter.
  public let bucketOf: [Int]
  /// The most elements that are exchanged at once; a larger bucket, of one large parameter, is cut into several.
  public let largestExchange: Int

  /// - Parameters:
  ///   - parameterSizes: elements of each parameter, in the order in which gradients become complete.
  ///   - bucketBytes: a bucket is closed before it would exceed this; one parameter alone may. Smaller ones spend more
  ///     time on meetings, but what the step waits for in the end is about the last one. So buckets shrink, down to
  ///     64 KiB, to a third of what is left before the next parameter that fills a bucket alone, or before the end.
  public init(parameterSizes: [Int], bucketBytes: Int = 1 << 20) {
    precondition(bucketBytes >= 64, "BucketLayout: buckets of \(bucketBytes) bytes")
    let most = bucketBytes / MemoryLayout<Float>.size
    let least = min(most, (64 << 10) / MemoryLayout<Float>.size)
    var left = Array(repeating: 0, count: parameterSizes.count + 1)
    for (parameter, size) in parameterSizes.enumerated().reversed() {
      left[parameter] = size > most ? 0 : left[parameter + 1] + size
    }
    var starts: [Int] = []
    var buckets: [Bucket] = []
    var first = 0
    var begin = 0
    var end = 0
    func close(_ parameters: Range<Int>) -> Bucket {
      Bucket(parameters: parameters, elements: begin..<Self.aligned(end + parameters.count), counts: end)
    }
    for (parameter, size) in parameterSizes.enumerated() {
      precondition(size >= 0, "BucketLayout: parameter \(parameter) has \(size) elements")
      let room = min(most, max(least, left[first] / 3))
      if parameter > first, end + Self.aligned(size) + parameter + 1 - first - begin > room {
        buckets.append(close(first..<parameter))
        begin = Self.aligned(end + parameter - first)
        end = begin
        first = parameter
      }
      starts.append(end)
      end += Self.aligned(size)
    }
    if first < parameterSizes.count { buckets.append(close(first..<parameterSizes.count)) }
    sizes = parameterSizes
    self.starts = starts
    self.buckets = buckets
    bucketOf = buckets.indices.flatMap { Array(repeating: $0, count: buckets[$0].parameters.count) }
    largestExchange = most
  }

  /// Elements of the flat buffer.
  public var count: Int { buckets.last?.elements.upperBound ?? 0 }

  /// Where the number of micro-batches with a gradient for `parameter` lies.
  func countPlace(_ parameter: Int) -> Int {
    let bucket = buckets[bucketOf[parameter]]
    return bucket.counts + parameter - bucket.parameters.lowerBound
  }

  /// `elements` rounded up to a multiple of 64 bytes.
  static func aligned(_ elements: Int) -> Int { (elements + 15) & ~15 }
}
