import Ground
import Media

/// A record's regions on its pictures as they stand upright.
struct PlacedRegions {
  private struct Region {
    let written: RecordRegion
    /// On the upright picture.
    let shape: RegionShape
    let bounds: PictureBox
    /// Of the upright picture, in pixels.
    let size: PictureSize
  }

  private let regions: [Region]
  private let style: BoxStyle

  /// - Parameter outlines: of the record's pictures.
  /// - Throws: `Fault(.badData)` without a place for a region that reaches out of its picture.
  init(_ record: Record, _ outlines: [PictureOutline], _ style: BoxStyle) throws {
    self.style = style
    regions = try record.regions.map { region in
      let outline = outlines[region.image]
      let drawnOn = style.isStored ? outline.stored : outline.size
      let words = "region '\(region.name)'"
      if let size = region.maskSize, size != drawnOn {
        throw Fault(
          .badData,
          "\(words) is a mask of \(size.width) × \(size.height) pixels on a picture of \(drawnOn.width) × \(drawnOn.height)",
          "make the mask for this picture; its size is [height, width]")
      }
      let (width, height) =
        region.unit == .shares ? (1.0, 1.0) : (Double(drawnOn.width), Double(drawnOn.height))
      guard let bounds = region.shape.bounds, PictureBox(0, 0, width, height).contains(bounds) else {
        let edges = region.shape.bounds.map { "[\($0.x0), \($0.y0), \($0.x1), \($0.y1)]" } ?? ""
        throw Fault(
          .badData,
          "\(words), \(edges), reaches out of its picture of "
            + (region.unit == .shares ? "1 × 1" : "\(drawnOn.width) × \(drawnOn.height) pixels"),
          "correct it; numbers are \(region.unit == .shares ? "shares" : "pixels") from the top left corner")
      }
      let shape =
        style.isStored ? region.shape.turned(outline.orientation, width: width, height: height) : region.shape
      return Region(written: region, shape: shape, bounds: shape.bounds ?? bounds, size: outline.size)
    }
  }

  private func inUnit(of region: Region, _ placement: PicturePlacement) -> PicturePlacement {
    region.written.unit == .shares ? placement.inShares(of: region.size) : placement
  }

  /// The placement of a region's picture in the region's unit.
  private func placement(_ region: Region, _ placements: [PicturePlacement]) -> PicturePlacement {
    inUnit(of: region, placements[region.written.image])
  }

  func name(of region: Int) -> String { regions[region].written.name }
  func picture(of region: Int) -> Int { regions[region].written.image }

  /// The share of a region's area that is in what the model sees; exactly 1 where nothing is cut.
  private func visibleShare(_ region: Region, _ placement: PicturePlacement) -> Double {
    let visible = placement.visible
    if visible.contains(region.bounds) { return 1 }
    return region.shape.clipped(to: visible).area / region.shape.area
  }

  /// Whether enough of every region of a picture is seen.
  func isVisible(in picture: Int, _ placement: PicturePlacement) -> Bool {
    regions.allSatisfy { region in
      guard region.written.image == picture else { return true }
      let share = visibleShare(region, inUnit(of: region, placement))
      return share > 0 && share >= style.leastVisible
    }
  }

  /// Refuses a region of which too little is seen.
  /// - Returns: how many are cut.
  /// - Throws: `Fault(.badData)` without a place.
  func checkVisible(_ placements: [PicturePlacement]) throws -> Int {
    let shares = regions.map { visibleShare($0, placement($0, placements)) }
    for (region, share) in zip(regions, shares) where share < style.leastVisible || share == 0 {
      throw Fault(
        .badData,
        "the image processor cuts region '\(region.written.name)' off: \(Int(share * 100)) % of it are left",
        "crop the picture yourself, remove the region, or lower data.boxes.least_visible")
    }
    return shares.count { $0 < 1 }
  }

  /// The text of a region's box: of what is visible of it.
  func text(of region: Int, _ placements: [PicturePlacement]) -> String {
    let (region, placement) = (regions[region], placement(regions[region], placements))
    let visible = placement.visible
    if visible.contains(region.bounds) { return style.text(of: region.bounds, placement) }
    return style.text(of: region.shape.clipped(to: visible).bounds ?? region.bounds, placement)
  }

  /// The rows of features that belong to a region.
  func rows(of region: Int, _ placements: [PicturePlacement], _ grid: PatchGrid) -> [Int] {
    let region = regions[region]
    return grid.featureRows(of: region.shape, placement(region, placements), atLeast: style.leastCovered)
  }

  /// The turns with their boxes written, each mention where its words stand now.
  func written(_ turns: [Turn], _ placements: [PicturePlacement]) throws -> [Turn] {
    let withWords = Set(turns.flatMap(\.mentions).filter(\.form.hasWords).compactMap(\.region))
    return try turns.map { turn in
      guard !turn.mentions.isEmpty else { return turn }
      let old = Array(turn.text.utf8)
      var (text, mentions, position) = ("", [RegionMention](), 0)
      for mention in turn.mentions {
        text += String(decoding: old[position..<mention.range.lowerBound], as: UTF8.self)
        position = mention.range.upperBound
        let words = String(decoding: old[mention.range], as: UTF8.self)
        let box = style.convention == .none ? nil : mention.region.map { self.text(of: $0, placements) }
        guard box != nil || mention.form != .box else {
          throw Fault(
            .badConfiguration, "the text wants a box written, and data.boxes.as does not say how",
            "set it, as in data.boxes: {as: relative_1000}")
        }
        let own = style.written(words, mention.form, box: box)
        let start = text.utf8.count
        text += own.text
        // A region that is named by words is not bound to the text of its box too.
        guard let region = mention.region, mention.form.hasWords || !withWords.contains(region) else { continue }
        mentions.append(
          RegionMention(
            range: start + own.words.lowerBound..<start + own.words.upperBound, form: mention.form, region: region,
            number: mention.number))
      }
      text += String(decoding: old[position...], as: UTF8.self)
      return turn.saying(text, mentions: mentions)
    }
  }
}
