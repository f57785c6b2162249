/// One record, encoded: tokens, which of them are trained, and its pictures.
public struct Sample: Equatable, Sendable {
  /// Token ids, every picture already expanded to its placeholder tokens.
  public let ids: [Int32]
  /// For each token, whether the model is trained to produce it (the label is the token itself, not shifted).
  public let supervised: [Bool]
  /// One for each picture, in order.
  public let pixels: [Pixels]
  /// Positions in `ids` of the placeholder tokens, ascending.
  public let imagePositions: [Int]
  /// `file:line` of the record, for messages.
  public let place: String
  /// Number of the record in its ``RecordSet``.
  public let index: Int

  public init(
    ids: [Int32], supervised: [Bool], pixels: [Pixels], imagePositions: [Int], place: String, index: Int
  ) {
    precondition(ids.count == supervised.count, "Sample: \(ids.count) ids, \(supervised.count) flags")
    self.ids = ids
    self.supervised = supervised
    self.pixels = pixels
    self.imagePositions = imagePositions
    self.place = place
    self.index = index
  }

  /// Memory that it takes, roughly.
  var bytes: Int { ids.count * 5 + imagePositions.count * 8 + pixels.reduce(0) { $0 + $1.values.count * 4 } }
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
}
