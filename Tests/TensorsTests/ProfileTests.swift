import Ground
import Tensors
import XCTest

/// What a profile records of the primitives: every call, the operations that its result needs, and no other bits.
final class ProfileTests: XCTestCase {
  private func random(_ shape: [Int], _ name: String, _ backend: any Backend) -> Tensor {
    let stream = RandomStream([5]).named(name)
    return backend.tensor((0..<shape.reduce(1, *)).map { Float(stream.uniform(at: $0) * 2 - 1) }, shape)
  }

  /// Records `body`, which gets a profiled backend.
  private func recording(_ body: (any Backend) throws -> Void) throws -> Profile.Recording {
    let profile = Profile(limit: 1000)
    profile.isRecording = true
    try body(ProfiledBackend(CPUBackend(threads: 1), profile))
    return profile.take()
  }

  private func operations(_ body: (any Backend) throws -> Void) throws -> Int {
    try recording(body).total(.primitive).operations
  }

  // MARK: Operations

  func testProducts() throws {
    for (left, leftTransposed, right, rightTransposed) in [
      ([5, 7], false, [7, 3], false), ([5, 7], false, [3, 7], true), ([7, 5], true, [7, 3], false),
    ] {
      let found = try recording { backend in
        let (a, b) = (self.random(left, "a", backend), self.random(right, "b", backend))
        _ = backend.product(Factor(a, transposed: leftTransposed), Factor(b, transposed: rightTransposed))
      }
      let span = try XCTUnwrap(found.spans.first)
      XCTAssertEqual(found.spans.count, 1)
      XCTAssertEqual(span.name, "product")
      XCTAssertEqual(
        span.work, Profile.Work(shapes: [[5, 7], [7, 3]], type: "F32", operations: 2 * 5 * 7 * 3), "\(left) \(right)")
      XCTAssertGreaterThanOrEqual(span.end, span.start)
    }
  }

  func testTheTypeOfTheWeightCounts() throws {
    let found = try recording { backend in
      let weight = backend.cast(self.random([3, 7], "w", backend), to: .bfloat16)
      _ = Context(backend).linear(self.random([5, 7], "x", backend), Projection(weight))
    }
    XCTAssertEqual(found.totals[Profile.Key(.primitive, "product", type: "BF16")]?.operations, 210)
    XCTAssertEqual(found.total(.primitive).narrowOperations, 210)
    XCTAssertNil(found.totals[Profile.Key(.primitive, "product", type: "F32")])
    XCTAssertEqual(found.totals[Profile.Key(.primitive, "cast")]?.calls, 2, "the weight and x")
  }

  /// A sum of terms of both types; a transposed first factor keeps a term in f32.
  func testTermsOfSeveralTypes() throws {
    let found = try recording { backend in
      let (x, dy) = (self.random([5, 7], "x", backend), self.random([5, 3], "dy", backend))
      let weight = backend.cast(self.random([3, 7], "w", backend), to: .bfloat16)
      let (low, up) = (self.random([5, 2], "l", backend), self.random([3, 2], "u", backend))
      _ = backend.product([
        ProductTerm(Factor(x), Factor(weight, transposed: true)),
        ProductTerm(Factor(low), Factor(up, transposed: true)),
      ])
      _ = backend.product(Factor(dy, transposed: true), Factor(backend.cast(x, to: .bfloat16)))
    }
    let products = found.spans.filter { $0.name == "product" }.map(\.work)
    XCTAssertEqual(
      products,
      [
        Profile.Work(
          shapes: [[5, 7], [7, 3], [5, 2], [2, 3]], type: "BF16+F32", operations: 210 + 60, narrowOperations: 210),
        Profile.Work(shapes: [[3, 5], [5, 7]], type: "F32", operations: 210),
      ])
  }

  /// A frozen weight with a trained low-rank update: y, then dx and the gradients of both factors.
  func testLowRankLinear() throws {
    let (rows, inputs, outputs, rank) = (11, 7, 5, 2)
    let found = try operations { backend in
      let context = Context(backend, recording: true)
      let (x, weight) = (self.random([rows, inputs], "x", backend), self.random([outputs, inputs], "w", backend))
      let (down, up) = (self.random([rank, inputs], "a", backend), self.random([outputs, rank], "b", backend))
      for tensor in [x, down, up] { context.watch(tensor) }
      let y = context.linear(x, Projection(weight, update: LowRank(down: down, up: up, scale: 2)))
      context.backward(from: y, seed: self.random([rows, outputs], "dy", backend), watched: [x, down, up]) { _, _ in }
    }
    let whole = inputs * outputs
    let low = rank * (inputs + outputs)
    XCTAssertEqual(found, 2 * rows * (whole + low) + 2 * rows * (whole + 2 * low))
  }

  func testAttention() throws {
    let shape = AttentionShape(heads: 4, keyHeads: 2, headWidth: 8)
    // Two sequences of 3 and 2 rows; one whose two queries are the last of five keys.
    let cached = Sequences(queries: [0..<2], keys: [0..<5])
    for (sequences, mask, rows, keys, pairs) in [
      (Sequences(lengths: [3, 2]), AttentionMask.causal, 5, 5, 6 + 3),
      (Sequences(lengths: [3, 2]), .bidirectional, 5, 5, 9 + 4),
      (cached, .causal, 2, 5, 4 + 5),
    ] {
      let found = try recording { backend in
        let q = self.random([rows, 32], "q", backend)
        let (k, v) = (self.random([keys, 16], "k", backend), self.random([keys, 16], "v", backend))
        let (y, logSum) = backend.attention(q, k, v, shape, sequences, mask, dropout: nil)
        _ = backend.attentionBackward(q, k, v, y, logSum, q, shape, sequences, mask, dropout: nil)
      }
      XCTAssertEqual(found.total(.primitive, "attention").operations, 2 * 2 * 4 * 8 * pairs)
      XCTAssertEqual(found.total(.primitive, "attentionBackward").operations, 5 * 2 * 4 * 8 * pairs)
    }
  }

  func testCrossEntropy() throws {
    for (hidden, head, products) in [(false, false, 1), (true, false, 2), (true, true, 3)] {
      let found = try operations { backend in
        _ = backend.crossEntropy(
          hidden: self.random([4, 6], "x", backend), head: self.random([10, 6], "h", backend),
          targets: backend.tensor([1, 2, 3, 9]), wants: (hidden, head))
      }
      XCTAssertEqual(found, products * 2 * 4 * 6 * 10)
    }
  }

  /// A frozen head gets no gradient and no copy in another type for the sake of its update.
  func testCrossEntropyUnderALowRankUpdate() throws {
    let found = try recording { backend in
      let context = Context(backend, recording: true)
      let (hidden, head) = (self.random([4, 6], "x", backend), self.random([10, 6], "h", backend))
      let (down, up) = (self.random([2, 6], "a", backend), self.random([10, 2], "b", backend))
      for tensor in [hidden, down, up] { context.watch(tensor) }
      let (sum, _) = context.crossEntropy(
        hidden: hidden,
        Projection(backend.cast(head, to: .bfloat16), update: LowRank(down: down, up: up, scale: 2)),
        targets: backend.tensor([1, 2, 3, 9]))
      context.backward(from: sum, seed: backend.tensor([1], [1]), watched: [hidden, down, up]) { _, _ in }
    }
    let loss = try XCTUnwrap(found.spans.first { $0.name == "crossEntropy" }?.work)
    let (whole, low) = (2 * 4 * 6 * 10, 2 * 4 * 2 * 10)
    XCTAssertEqual(loss.operations, 2 * whole + 3 * low)
    XCTAssertEqual(loss.narrowOperations, 2 * whole)
    XCTAssertFalse(found.spans.contains { $0.name == "joinColumns" })
  }

  // MARK: Recording

  /// The same bits with and without, and one span for each primitive, in order.
  func testNothingIsChanged() throws {
    func gradients(_ backend: any Backend) -> [Tensor] {
      let context = Context(backend, recording: true)
      let inputs = [[6, 8], [8, 8], [8]].enumerated().map { random($1, "\($0)", backend) }
      for input in inputs { context.watch(input) }
      let normed = context.rmsNorm(inputs[0], inputs[2], epsilon: 1e-5)
      let y = context.activate(.silu, context.linear(normed, Projection(inputs[1])))
      return context.backward(from: y, seed: y, watched: inputs) { _, _ in }.compactMap { $0 }
    }
    let plain = try CPUBackend(threads: 1)
    let wanted = gradients(plain).map(plain.read)
    XCTAssertEqual(wanted.count, 3)
    let found = try recording { backend in
      XCTAssertEqual(gradients(backend).map(backend.read), wanted)
    }
    XCTAssertEqual(
      found.spans.map(\.name),
      ["rmsNorm", "product", "activate", "activateBackward", "product", "product", "rmsNormBackward"])
    for (span, next) in zip(found.spans, found.spans.dropFirst()) { XCTAssertLessThanOrEqual(span.end, next.start) }
  }

  func testNothingIsRecordedUnlessAskedFor() throws {
    let profile = Profile(limit: 10)
    let backend = try ProfiledBackend(CPUBackend(threads: 1), profile)
    _ = backend.add(backend.zeros([3]), backend.zeros([3]))
    XCTAssertTrue(profile.take().totals.isEmpty)
    profile.isRecording = true
    _ = backend.add(backend.zeros([3]), backend.zeros([3]))
    XCTAssertEqual(profile.take().spans.map(\.name), ["zeros", "zeros", "add"])
    XCTAssertTrue(profile.take().spans.isEmpty, "what was taken is forgotten")
  }

  /// Beyond the limit primitives are only added up; phases are kept.
  func testItIsBounded() {
    let profile = Profile(limit: 3)
    for start in 0..<10 as Range<UInt64> {
      let work = Profile.Work(operations: 7, bytes: 2)
      profile.add(Profile.Span(kind: .primitive, name: "p", start: start, end: start + 1, work: work))
    }
    profile.add(Profile.Span(kind: .phase, name: "forward", start: 0, end: 2_000_000_000))
    let recording = profile.take()
    XCTAssertEqual(recording.spans.count, 4)
    XCTAssertEqual(recording.omitted, 7)
    let total = recording.total(.primitive, "p")
    XCTAssertEqual(total.calls, 10)
    XCTAssertEqual(total.operations, 70)
    XCTAssertEqual(total.bytes, 20)
    XCTAssertEqual(total.seconds, 1e-8, accuracy: 1e-15)
    XCTAssertEqual(recording.total(.phase).seconds, 2)
  }

  func testTables() {
    XCTAssertEqual(
      aligned([["a", "bb", "c"], ["aaaa", "b"], ["a", "b", "ccc"]]),
      ["  a     bb    c", "  aaaa   b", "  a      b  ccc"])
  }
}
