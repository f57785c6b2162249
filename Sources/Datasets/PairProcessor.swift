import Features
import Ground
import Media
import Tokenizers

/// Turns pictures and captions into what two encoders read.
public struct PairProcessor: Sendable {
  public let tokenizer: Tokenizer
  public let images: ImageProcessor
  /// Where features of pictures are kept; pictures that it knows are not even decoded.
  public var features: FeatureStore?
  /// Captions are cut to this many tokens.
  public let maxLength: Int
  /// What captions are filled up with to `maxLength`; nil where they stay as long as they are.
  public let filling: Int32?
  private let reads: @Sendable ([Int32]) -> Int

  /// - Parameter reads: which token stands for a text of these.
  public init(
    tokenizer: Tokenizer, images: ImageProcessor, maxLength: Int, filling: Int32?,
    reads: @escaping @Sendable ([Int32]) -> Int
  ) {
    (self.tokenizer, self.images, self.maxLength, self.filling) = (tokenizer, images, maxLength, filling)
    self.reads = reads
  }

  /// The tokens of a caption, cut and filled up.
  public func ids(_ caption: String) throws -> [Int32] {
    let all = try tokenizer.encode(caption, pair: nil, maxLength: maxLength).ids
    let ids = all.compactMap(Int32.init(exactly:))
    guard ids.count == all.count else {
      throw Fault(.badData, "the tokenizer gives an id beyond 2³¹", "check tokenizer.json")
    }
    guard let filling else {
      guard !ids.isEmpty else { throw Fault(.badData, "the caption has no token", "remove the record") }
      return ids
    }
    return ids + [Int32](repeating: filling, count: max(0, maxLength - ids.count))
  }

  /// Whether a caption has more tokens than are read.
  public func cuts(_ caption: String) throws -> Bool {
    try tokenizer.encode(caption, pair: nil, maxLength: nil).ids.count > maxLength
  }

  /// The position of the token that stands for a text of these.
  public func readPosition(in ids: [Int32]) -> Int { reads(ids) }

  public func picture(_ location: ImageLocation) throws -> PictureInput {
    try PictureInput(PictureFile(location), images, features)
  }

  /// The sample of a record with one of its captions.
  /// - Throws: `Fault` with `file:line`: a caption without tokens, a picture that cannot be decoded.
  public func sample(_ record: PairRecord, caption: Int) throws -> Sample {
    do {
      let ids = try ids(record.captions[caption])
      return Sample(
        caption: ids, readAt: reads(ids), picture: try picture(record.image), place: record.place, index: record.index)
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }
}

extension PictureInput {
  /// A picture file, decoded and resized, or the features that are known of it.
  /// - Throws: `Fault` that names the file.
  init(_ file: PictureFile, _ processor: ImageProcessor, _ features: FeatureStore?) throws {
    let digest = features == nil ? nil : file.digest
    if let digest, let known = features?.find(digest) {
      self = .features(known)
      return
    }
    self = .pixels(try Pixels(file.picture(), processor, at: file.name), digest: digest)
  }
}
