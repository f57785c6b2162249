import OrderedCollections

/// How often the right text is found for a picture among all texts, and the right picture for a text.
///
/// N pictures and M texts, each text of one picture; a picture may have several.
public struct Retrieval: Equatable, Sendable {
  /// The place, from 0, of the best own text of each picture; nil for a picture without a text.
  public let textRanks: [Int?]
  /// The place, from 0, of the own picture of each text.
  public let pictureRanks: [Int]

  public init(textRanks: [Int?], pictureRanks: [Int]) {
    (self.textRanks, self.pictureRanks) = (textRanks, pictureRanks)
  }

  /// - Parameters:
  ///   - similarity: [N, M], a row for each picture.
  ///   - pictureOfText: the picture of each text.
  public init(similarity: [Float], pictures: Int, pictureOfText: [Int]) {
    let texts = pictureOfText.count
    precondition(similarity.count == pictures * texts, "Retrieval: \(similarity.count) ≠ \(pictures) × \(texts)")
    precondition(pictureOfText.allSatisfy((0..<pictures).contains), "Retrieval: a text of no picture")
    let textRanks = (0..<pictures).map { picture in
      Retrieval.rank(similarity[picture * texts..<(picture + 1) * texts]) { pictureOfText[$0] == picture }
    }
    let pictureRanks = (0..<texts).map { text in
      Retrieval.rank((0..<pictures).map { similarity[$0 * texts + text] }) { $0 == pictureOfText[text] } ?? 0
    }
    self.init(textRanks: textRanks, pictureRanks: pictureRanks)
  }

  /// The place, from 0, of the best score of what is right; nil where nothing is.
  ///
  /// What scores the same as the right one counts as before it, and a right one that scores NaN stands last: a model
  /// that tells nothing apart finds nothing.
  /// - Parameter isRight: of the number of a score, from 0.
  public static func rank(_ scores: some Collection<Float>, isRight: (Int) -> Bool) -> Int? {
    let (best, hasRight) = scores.enumerated().reduce((Float.nan, false)) { found, item in
      guard isRight(item.offset) else { return found }
      return (item.element.isNaN || found.0 >= item.element ? found.0 : item.element, true)
    }
    guard hasRight else { return nil }
    return scores.enumerated().count { !isRight($0.offset) && !($0.element < best) }
  }

  /// `image_to_text_r1`, `…_r5`, `…_r10` and `text_to_image_r1`, … in 0…1: the part whose right one is among the first
  /// 1, 5 and 10, as `recall_at_k` of CLIP_benchmark; NaN where there is nothing to look for.
  public var figures: OrderedDictionary<String, Double> {
    var figures: OrderedDictionary<String, Double> = [:]
    for (name, ranks) in [("image_to_text", textRanks.compactMap { $0 }), ("text_to_image", pictureRanks)] {
      for most in [1, 5, 10] { figures["\(name)_r\(most)"] = mean(ranks.map { $0 < most ? 1 : 0 }) }
    }
    return figures
  }
}
