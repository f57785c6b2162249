import Ground

/// A micro-batch: samples one after another, without padding.
///
/// T tokens, N pictures, S samples. A row is an index into the T tokens.
public struct Batch: Equatable, Sendable {
  /// [T] token ids.
  public let ids: [Int32]
  /// [T] position of each token in its own sample, from 0.
  public let positions: [Int32]
  /// [S + 1] row where each sample begins, and T.
  public let offsets: [Int32]
  /// [T] which of a pair of texts each token belongs to; empty where the model does not tell them apart.
  public let types: [Int32]
  /// What is to be said of the records in place of next tokens: nil for conversations.
  public let labels: Labels?
  /// [S] what a head on frozen features gets of each record, where such features are kept; else empty.
  public let kept: [KeptFeature]
  /// Whether one token stands for each text: of texts with labels, and of captions.
  public let readsWholeTexts: Bool
  /// Rows whose next token, in the same sample, is trained; ascending. Where whole texts are read the one that is.
  public let targetRows: [Int32]
  /// For each of `targetRows`, that next token; empty where whole texts are read.
  public let targetIDs: [Int32]
  /// How much the loss of each of `targetRows` counts; empty where all count as 1.
  public let targetWeights: [Float]
  /// [S + 1] where each sample's share of `targetRows` begins, and their count.
  public let targetOffsets: [Int32]
  /// Rows of placeholder tokens, ascending: the same number for each of the N pictures.
  public let imageRows: [Int32]
  /// [S + 1] where each sample's share of the pictures begins, and N.
  public let pictureOffsets: [Int32]
  /// [S] parts of each sample's pictures that words of it name, counted in the sample.
  public let regions: [[Sample.Region]]
  /// [N] the pictures in order, each known by its features or to be looked at.
  public let pictures: [Picture]
  /// [M, 3, height, width], row-major, of the M pictures that are to be looked at, in order.
  public let pixels: [Float]
  /// M, 3, height, width.
  public let pixelShape: [Int]
  /// [S] the number of each sample's record in its ``RecordSet``.
  public let indices: [Int]
  /// [S] `file:line` of each sample's record.
  public let places: [String]

  /// The labels of a batch of texts.
  public enum Labels: Equatable, Sendable {
    /// [S] the label of each text.
    case numbers([Int])
    /// [S, L] a number for each label.
    case values([Float])
  }

  /// What stands for a picture.
  public enum Picture: Equatable, Sendable {
    /// The next of ``Batch/pixels``; where features are kept, `digest` names the picture there.
    case pixels(digest: String?)
    /// [rows, width] of the vision encoder.
    case features([Float])
    /// Not looked at, as what is made of the whole record is known.
    case skipped
  }

  /// - Throws: `Fault(.badData)` when the pictures are not all of one size.
  public init(_ samples: [Sample]) throws {
    ids = samples.flatMap(\.ids)
    types = samples.flatMap(\.types)
    labels = Batch.labels(of: samples)
    kept = samples.compactMap(\.feature)
    precondition(kept.isEmpty || kept.count == samples.count, "Batch: features of some records are kept, of others not")
    positions = samples.flatMap { Int32(0)..<Int32($0.ids.count) }
    offsets = Batch.runningSum(samples.map(\.ids.count))
    let starts = offsets
    imageRows = zip(samples, starts).flatMap { sample, start in sample.imagePositions.map { start + Int32($0) } }
    let rows = zip(samples, starts).map { sample, start in
      if let position = sample.readPosition { return [start + Int32(position)] }
      return sample.supervised.indices.dropFirst().filter { sample.supervised[$0] }.map { start + Int32($0) - 1 }
    }
    targetRows = Array(rows.joined())
    targetOffsets = Batch.runningSum(rows.map(\.count))
    let counts = zip(samples, zip(rows, starts)).flatMap { sample, own in
      own.0.map { sample.weights.isEmpty ? 1 : sample.weights[Int($0 - own.1) + 1] }
    }
    targetWeights = counts.allSatisfy { $0 == 1 } ? [] : counts
    let tokens = ids
    readsWholeTexts = samples.contains { $0.readPosition != nil }
    targetIDs = readsWholeTexts ? [] : targetRows.map { tokens[Int($0) + 1] }
    pictureOffsets = Batch.runningSum(samples.map(\.pictures.count))
    regions = samples.map(\.regions)
    pictures = samples.flatMap(\.pictures).map {
      switch $0 {
      case .pixels(_, let digest): .pixels(digest: digest)
      case .features(let features): .features(features)
      case .skipped: .skipped
      }
    }
    (pixels, pixelShape) = try Batch.join(samples)
    indices = samples.map(\.index)
    places = samples.map(\.place)
  }

  /// Number of tokens, placeholder tokens included.
  public var tokens: Int { ids.count }
  public var images: Int { pictures.count }
  /// Number of tokens that are trained, or of texts that are read whole.
  public var supervised: Int { targetRows.count }
  /// What they count together.
  public var weight: Double {
    targetWeights.isEmpty ? Double(targetRows.count) : targetWeights.reduce(0) { $0 + Double($1) }
  }
  /// Σ weight · loss over `targetRows`.
  public func weightedSum(_ losses: [Float]) -> Double {
    guard !targetWeights.isEmpty else { return losses.reduce(0) { $0 + Double($1) } }
    return zip(losses, targetWeights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }
  /// Memory that it takes, roughly.
  var bytes: Int {
    let features = pictures.reduce(0) { if case .features(let features) = $1 { $0 + features.count } else { $0 } }
    return 4 * (ids.count * 2 + targetRows.count * 3 + imageRows.count + pixels.count + features)
  }

  private static func labels(of samples: [Sample]) -> Labels? {
    let labels = samples.compactMap(\.label)
    guard !labels.isEmpty else { return nil }
    precondition(labels.count == samples.count, "Batch: \(labels.count) labels for \(samples.count) samples")
    let numbers = labels.compactMap { if case .number(let number) = $0 { number } else { nil } }
    if numbers.count == labels.count { return .numbers(numbers) }
    return .values(labels.flatMap { if case .values(let values) = $0 { values } else { [Float]() } })
  }

  private static func runningSum(_ counts: [Int]) -> [Int32] {
    counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) }
  }

  private static func join(_ samples: [Sample]) throws -> (pixels: [Float], shape: [Int]) {
    guard let first = samples.lazy.flatMap(\.pixels).first else { return ([], [0, 3, 0, 0]) }
    var values: [Float] = []
    let count = samples.reduce(0) { $0 + $1.pixels.count }
    values.reserveCapacity(count * first.values.count)
    for sample in samples {
      for picture in sample.pixels {
        guard (picture.height, picture.width) == (first.height, first.width) else {
          throw Fault(
            .badData, "pictures of \(first.height)×\(first.width) and \(picture.height)×\(picture.width) in one batch",
            at: sample.place, "let the image processor crop or resize to one size, or use micro_batch: 1")
        }
        values += picture.values
      }
    }
    return (values, [count, 3, first.height, first.width])
  }
}
