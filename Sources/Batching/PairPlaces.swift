import Datasets
import Models

/// What belongs together in a batch.
extension Batch {
  /// A record's pictures and its supervised tokens, for each record that has both; of a caption the token that is read.
  public var recordPairs: [PairPlace] {
    indices.indices.compactMap { sample in
      let pictures = Int(pictureOffsets[sample])..<Int(pictureOffsets[sample + 1])
      let targets = targetRows[Int(targetOffsets[sample])..<Int(targetOffsets[sample + 1])]
      guard !pictures.isEmpty, !targets.isEmpty, labels == nil else { return nil }
      return PairPlace(sequence: sample, pictures: pictures, tokenRows: targets.map { readsWholeTexts ? $0 : $0 + 1 })
    }
  }

  /// The answers of records with pictures, as ranges of `targetRows`: each a run of supervised tokens without a gap.
  public var answers: [Range<Int>] {
    recordPairs.flatMap { pair -> [Range<Int>] in
      let own = Int(targetOffsets[pair.sequence])..<Int(targetOffsets[pair.sequence + 1])
      let starts = own.filter { $0 == own.lowerBound || targetRows[$0] != targetRows[$0 - 1] + 1 }
      return zip(starts, starts.dropFirst() + [own.upperBound]).map { $0..<$1 }
    }
  }

  /// Each part of a picture and the tokens that name it.
  ///
  /// - Parameter rowsPerImage: of the model.
  public func regionPairs(rowsPerImage: Int) -> [PairPlace] {
    regions.enumerated().flatMap { sample, regions in
      regions.compactMap { region -> PairPlace? in
        let picture = Int(pictureOffsets[sample]) + region.picture
        let tokens = region.tokens.map { offsets[sample] + Int32($0) }
        guard !region.rows.isEmpty, !tokens.isEmpty else { return nil }
        precondition(
          picture < pictureOffsets[sample + 1] && region.rows.allSatisfy { (0..<rowsPerImage).contains($0) }
            && tokens.allSatisfy { $0 < offsets[sample + 1] }, "regionPairs: \(region) of \(places[sample])")
        return PairPlace(
          sequence: sample, pictures: picture..<picture + 1,
          visualRows: region.rows.map { Int32(picture * rowsPerImage + $0) }, tokenRows: tokens)
      }
    }
  }
}
