import Media

/// One record, encoded: tokens, which of them are trained, and its pictures.
public struct Sample: Equatable, Sendable {
  /// Token ids, every picture already expanded to its placeholder tokens.
  public let ids: [Int32]
  /// For each token, whether the model is trained to produce it (the label is the token itself, not shifted).
  public let supervised: [Bool]
  /// How much each supervised token counts in losses, 0 for others; empty where all count as 1.
  public var weights: [Float] = []
  /// In the order of their placeholders.
  public let pictures: [PictureInput]
  /// Positions in `ids` of the placeholder tokens, ascending.
  public let imagePositions: [Int]
  /// `file:line` of the record, for messages.
  public let place: String
  /// Number of the record in its ``RecordSet``.
  public let index: Int
  /// For each token which of a pair of texts it belongs to; empty where the model does not tell them apart.
  public let types: [Int32]
  /// What the model is to say of the whole record, in place of supervised tokens.
  public let label: LabelTarget?
  /// The token that stands for the whole text, of a record with a label and of a caption; nil of a conversation.
  public let readPosition: Int?
  /// What a head on frozen features gets of the record, where such features are kept.
  public let feature: KeptFeature?
  /// Parts of its pictures that words of it name.
  public var regions: [Region] = []

  /// A part of a picture and the words that name it.
  public struct Region: Equatable, Sendable {
    /// Which of the sample's pictures.
    public let picture: Int
    /// Which of the rows that the picture becomes.
    public let rows: [Int]
    /// Positions of tokens.
    public let tokens: Range<Int>

    public init(picture: Int, rows: [Int], tokens: Range<Int>) {
      (self.picture, self.rows, self.tokens) = (picture, rows, tokens)
    }
  }

  public init(
    ids: [Int32], supervised: [Bool], weights: [Float] = [], pictures: [PictureInput], imagePositions: [Int],
    place: String, index: Int
  ) {
    (types, label, readPosition, feature) = ([], nil, nil, nil)
    precondition(ids.count == supervised.count, "Sample: \(ids.count) ids, \(supervised.count) flags")
    precondition(
      weights.isEmpty || zip(weights, supervised).map { ($0 > 0) == $1 } == supervised.map { _ in true },
      "Sample: weights that do not go with what is supervised")
    self.weights = weights
    self.ids = ids
    self.supervised = supervised
    self.pictures = pictures
    self.imagePositions = imagePositions
    self.place = place
    self.index = index
  }

  /// A text with a label.
  public init(ids: [Int32], types: [Int32], label: LabelTarget, readAt position: Int, place: String, index: Int) {
    self.init(
      LabelledTokens(ids: ids, types: types, readPosition: position), label: label, place: place, index: index)
  }

  /// A record with a label.
  public init(
    _ tokens: LabelledTokens, pictures: [PictureInput] = [], label: LabelTarget, feature: KeptFeature? = nil,
    place: String, index: Int
  ) {
    let (ids, types, position) = (tokens.ids, tokens.types, tokens.readPosition)
    precondition(types.isEmpty || types.count == ids.count, "Sample: \(ids.count) ids, \(types.count) types")
    precondition(ids.indices.contains(position), "Sample: token \(position) of \(ids.count)")
    (self.ids, self.types, readPosition, imagePositions) = (ids, types, position, tokens.imagePositions)
    (self.pictures, self.label, self.feature) = (pictures, label, feature)
    supervised = [Bool](repeating: false, count: ids.count)
    (self.place, self.index) = (place, index)
  }

  /// A picture and its caption, which two encoders read apart.
  public init(caption ids: [Int32], readAt position: Int, picture: PictureInput, place: String, index: Int) {
    precondition(ids.indices.contains(position), "Sample: token \(position) of \(ids.count)")
    self.ids = ids
    (types, label, readPosition, feature) = ([], nil, position, nil)
    supervised = [Bool](repeating: false, count: ids.count)
    (pictures, imagePositions) = ([picture], [])
    self.place = place
    self.index = index
  }

  /// A sample whose pictures are all to be looked at.
  public init(
    ids: [Int32], supervised: [Bool], pixels: [Pixels], imagePositions: [Int], place: String, index: Int
  ) {
    self.init(
      ids: ids, supervised: supervised, pictures: pixels.map { .pixels($0, digest: nil) },
      imagePositions: imagePositions, place: place, index: index)
  }

  /// Of the pictures that are to be looked at.
  public var pixels: [Pixels] { pictures.compactMap { if case .pixels(let pixels, _) = $0 { pixels } else { nil } } }
}

/// A picture on its way to the model.
public enum PictureInput: Equatable, Sendable {
  /// For the vision encoder to look at; where what it makes of pictures is kept, `digest` names this one there.
  case pixels(Pixels, digest: String?)
  /// What the vision encoder made of it before: [rows, width], row-major.
  case features([Float])
  /// Nothing, as what is made of the whole record is known.
  case skipped
}

/// What a frozen model makes of a whole record, where that is kept.
public enum KeptFeature: Equatable, Sendable {
  /// It was made before.
  case known([Float])
  /// It is to be made, and kept by this name.
  case wanted(key: String)
}

/// A picture as the vision encoder takes it: `values` is [3, height, width], row-major.
public struct Pixels: Equatable, Sendable {
  public let values: [Float]
  public let height: Int
  public let width: Int

  public init(values: [Float], height: Int, width: Int) {
    precondition(values.count == 3 * height * width, "Pixels: \(values.count) values for [3, \(height), \(width)]")
    self.values = values
    self.height = height
    self.width = width
  }

  /// What an image processor makes of a picture.
  /// - Throws: `Fault` at `name` for one that is too large for it.
  init(_ picture: Picture, _ processor: ImageProcessor, at name: String) throws {
    self.init(values: try processor.pixels(picture, at: name), height: processor.height, width: processor.width)
  }
}
