import Ground

/// Writes pictures and descriptions to train the model that comes with the program: `images/` and `captions.jsonl`.
///
/// - Parameters:
///   - seed: other seeds give other pictures.
/// - Throws: `Fault(.cannotWrite)`.
public func writeCaptions(to folder: String, count: Int, seed: UInt64) throws {
  let set = PictureSet(purpose: .pretraining, count: count, seed: seed)
  try set.writePictures(to: folder + "/images")
  let records = set.records { index in
    let caption = set.caption(index)
    return [(caption.request, caption.text)]
  }
  try writeDurably(records, to: folder + "/captions.jsonl")
}

extension PictureSet {
  func caption(_ index: Int) -> Caption {
    var dice = Dice([0x63_6170, seed, purpose.rawValue, UInt64(index)])
    return Caption(scene(index), &dice)
  }
}
