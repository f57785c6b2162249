import Ground
import XCTest

@testable import Media

/// Where boxes and masks lie, against figures of the reference (`Tests/Goldens/make_regions.py`) and by hand.
final class RegionGeometryTests: XCTestCase {
  private func expected(_ list: String) throws -> [JSON] {
    try XCTUnwrap(JSON(contentsOf: Fixtures.path("regions.json"))[list]?.array)
  }

  private func numbers(_ json: JSON?) throws -> [Double] { try XCTUnwrap(json?.array).compactMap(\.double) }

  private func box(_ json: JSON?) throws -> PictureBox {
    let n = try numbers(json)
    return PictureBox(n[0], n[1], n[2], n[3])
  }

  /// A processor that resizes to one size.
  private func exact(width: Int, height: Int) -> ImageProcessor {
    processor(.exactly(height: height, width: width), crop: nil, PictureSize(height: height, width: width))
  }

  private func processor(
    _ size: ImageProcessor.Size?, crop: PictureSize?, _ output: PictureSize, pads: Bool = false
  ) -> ImageProcessor {
    let values = (0..<3).flatMap { _ in (0..<256).map { Float($0) } }
    return ImageProcessor(
      size: size, filter: .bilinear, crop: crop, squareFill: pads ? [9, 9, 9] : nil, values: values, output: output)
  }

  // MARK: Places

  func testByHand() {
    let picture = PictureSize(height: 100, width: 200)
    // The shorter side of 100 becomes 50, the longer one 100, and the middle 50 columns are left: 25 to 75.
    let cropped = processor(
      .shortestEdge(50), crop: PictureSize(height: 50, width: 50), PictureSize(height: 50, width: 50))
    let crop = cropped.placement(picture)
    XCTAssertEqual(crop.place(PictureBox(60, 20, 120, 80)), PictureBox(5, 10, 35, 40))
    XCTAssertEqual(crop.fractions(PictureBox(60, 20, 120, 80)), PictureBox(0.1, 0.2, 0.7, 0.8))
    XCTAssertEqual(crop.visible, PictureBox(50, 0, 150, 100))
    XCTAssertEqual(crop.place(PictureBox(0, 0, 200, 100)), PictureBox(-25, 0, 75, 50))

    // Bars of 50 rows above and below make a square of 200, which becomes one of 50.
    let padded = processor(
      .exactly(height: 50, width: 50), crop: nil, PictureSize(height: 50, width: 50), pads: true)
    let bars = padded.placement(picture)
    XCTAssertEqual(bars.place(PictureBox(60, 20, 120, 80)), PictureBox(15, 17.5, 30, 32.5))
    XCTAssertEqual(bars.visible, PictureBox(0, 0, 200, 100))

    // A crop larger than the picture puts it in the middle: 28 − 20 leave 4 before it.
    let small = processor(
      .exactly(height: 20, width: 20), crop: PictureSize(height: 28, width: 28), PictureSize(height: 28, width: 28))
    let middle = small.placement(picture)
    XCTAssertEqual(middle.place(PictureBox(0, 0, 200, 100)), PictureBox(4, 4, 24, 24))
    XCTAssertEqual(middle.fractions(PictureBox(0, 0, 200, 100)).x0, 4.0 / 28)
    XCTAssertEqual(middle.visible, PictureBox(0, 0, 200, 100))

    // The part from (40, 10), 100 × 50, mirrored: what was left of it comes right.
    var view = PictureVariant(picture)
    view.window = PictureWindow(left: 40, top: 10, width: 100, height: 50)
    view.isMirrored = true
    let seen = exact(width: 50, height: 50).placement(picture, view: view)
    XCTAssertEqual(seen.place(PictureBox(60, 20, 120, 40)), PictureBox(10, 10, 40, 30))
    XCTAssertEqual(seen.visible, PictureBox(40, 10, 140, 60))
    let shares = seen.inShares(of: picture).place(PictureBox(0.3, 0.2, 0.6, 0.4))
    for (found, wanted) in zip([shares.x0, shares.y0, shares.x1, shares.y1], [10.0, 10, 40, 30]) {
      XCTAssertEqual(found, wanted, accuracy: 1e-12)
    }
    // Mirrored and cropped by the processor: of columns 40 to 140 those in the middle, 65 to 115.
    XCTAssertEqual(cropped.placement(picture, view: view).visible, PictureBox(65, 10, 115, 60))
  }

  /// A white box on black is found, after the processor, where the placement says.
  func testPixelsAgree() throws {
    let shapes: [(ImageProcessor.Size?, PictureSize?, PictureSize, Bool)] = [
      (.shortestEdge(96), PictureSize(height: 96, width: 96), PictureSize(height: 96, width: 96), false),
      (.exactly(height: 90, width: 120), nil, PictureSize(height: 90, width: 120), false),
      (.exactly(height: 112, width: 112), nil, PictureSize(height: 112, width: 112), true),
      (.exactly(height: 60, width: 60), PictureSize(height: 84, width: 70), PictureSize(height: 84, width: 70), false),
    ]
    let size = PictureSize(height: 141, width: 203)
    let (left, top, right, bottom) = (80, 33, 131, 97)
    let picture = Picture(width: size.width, height: size.height) { target in
      for index in target.indices {
        let (x, y) = (index / 3 % size.width, index / 3 / size.width)
        target[index] = (left..<right).contains(x) && (top..<bottom).contains(y) ? 255 : 0
      }
    }
    var view = PictureVariant(size)
    view.window = PictureWindow(left: 30, top: 20, width: 150, height: 110)
    view.isMirrored = true
    for (scale, crop, output, pads) in shapes {
      for view in [PictureVariant(size), view] {
        let processor = processor(scale, crop: crop, output, pads: pads)
        let placed = processor.placement(size, view: view).place(
          PictureBox(Double(left), Double(top), Double(right), Double(bottom)))
        let result = try processor.resized(picture.seen(view))
        var sums = (weight: 0.0, x: 0.0, y: 0.0)
        for pixel in 0..<result.width * result.height where result.pixels[3 * pixel] > 9 {
          let weight = Double(result.pixels[3 * pixel]) / 255
          sums.weight += weight
          sums.x += weight * (Double(pixel % result.width) + 0.5)
          sums.y += weight * (Double(pixel / result.width) + 0.5)
        }
        XCTAssertEqual(sums.x / sums.weight, (placed.x0 + placed.x1) / 2, accuracy: 0.05, "\(output) \(view)")
        XCTAssertEqual(sums.y / sums.weight, (placed.y0 + placed.y1) / 2, accuracy: 0.05, "\(output) \(view)")
        XCTAssertEqual(sums.weight / placed.area, 1, accuracy: 0.02, "\(output) \(view)")
      }
    }
  }

  func testStoredBoxesTurnAsPillowTurnsPictures() throws {
    let rows = try expected("turned")
    XCTAssertEqual(rows.count, 8)
    for row in rows {
      let orientation = try XCTUnwrap(row["orientation"]?.integer.flatMap(Orientation.init))
      let shape = RegionShape(try box(row["box"])).turned(orientation, width: 37, height: 22)
      XCTAssertEqual(shape.bounds, try box(row["upright"]), "\(orientation)")
    }
  }

  func testOutlinesAreThoseOfDecodedPictures() throws {
    for row in try Fixtures.expected("decode") {
      let name = try XCTUnwrap(row["file"]?.string)
      let outline = try Fixtures.bytes(name).withUnsafeBytes { try PictureOutline(of: $0, at: name) }
      XCTAssertEqual(outline.size, try Fixtures.picture(name).size, name)
    }
    let turned = try Fixtures.bytes("turned-6.jpg").withUnsafeBytes { try PictureOutline(of: $0, at: "") }
    XCTAssertEqual(turned.orientation, .quarterTurn)
    XCTAssertEqual(turned.stored, PictureSize(height: 22, width: 37))
    XCTAssertEqual(turned.size, PictureSize(height: 37, width: 22))
    XCTAssertEqual(
      fault { try Array("GIF89a".utf8).withUnsafeBytes { try PictureOutline(of: $0, at: "a") } }?.place, "a")
  }

  // MARK: Masks

  func testMasksAreThoseOfCOCO() throws {
    let rows = try expected("masks")
    XCTAssertEqual(rows.count, 24)
    for row in rows {
      let size = try numbers(row["size"]).map { Int($0) }
      let dimensions = PictureSize(height: size[0], width: size[1])
      let runs = try RunLengths(size: dimensions, counts: numbers(row["counts"]).map { Int($0) })
      XCTAssertEqual(try RunLengths(size: dimensions, compressed: XCTUnwrap(row["compressed"]?.string)), runs)
      XCTAssertEqual(runs.shape.area, row["area"]?.double)
      let bounds = try box(row["bbox"])
      XCTAssertEqual(
        runs.shape.bounds, PictureBox(bounds.x0, bounds.y0, bounds.x0 + bounds.x1, bounds.y0 + bounds.y1))
      let (columns, rows) = (try XCTUnwrap(row["columns"]?.integer), try XCTUnwrap(row["rows"]?.integer))
      let grid = PatchGrid(columns: columns, rows: rows, patch: 7, leadingRows: 0)
      let placement = exact(width: 7 * columns, height: 7 * rows).placement(dimensions)
      for (found, wanted) in zip(grid.coverage(of: runs.shape, placement), try numbers(row["coverage"])) {
        XCTAssertEqual(found, wanted, accuracy: 1e-12)
      }
    }
  }

  func testDamagedMasks() throws {
    let size = PictureSize(height: 2, width: 2)
    for counts in [[], [3], [5], [1, -1, 4], [Int.max, Int.max]] {
      XCTAssertEqual(
        fault { try RunLengths(size: size, counts: counts) }?.what, "the runs of a mask do not make up its 2 × 2 pixels"
      )
    }
    for text in ["p", "o", "~~", String(repeating: "o", count: 40), "\u{e9}"] {
      XCTAssertEqual(fault { try RunLengths(size: size, compressed: text) }?.kind, .badData, text)
    }
    XCTAssertNotNil(fault { try RunLengths(size: PictureSize(height: Int.max, width: Int.max), counts: [1]) })
    XCTAssertNotNil(fault { try RunLengths(size: PictureSize(height: -1, width: -4), counts: [4]) })
    XCTAssertNotNil(fault { try RunLengths(size: size, compressed: String(repeating: "0", count: 1_000_001)) })
  }

  func testPolygonsCoverWhatTheyEnclose() throws {
    let rows = try expected("polygons")
    XCTAssertEqual(rows.count, 5)
    for row in rows {
      let flat = try numbers(row["points"])
      let points = stride(from: 0, to: flat.count, by: 2).map { PicturePoint(x: flat[$0], y: flat[$0 + 1]) }
      let shape = RegionShape.polygons([points])
      let area = try XCTUnwrap(row["area"]?.double)
      XCTAssertEqual(shape.area / area, 1, accuracy: 0.005)
      let grid = PatchGrid(columns: 4, rows: 5, patch: 14, leadingRows: 1)
      let placement = exact(width: 56, height: 70).placement(PictureSize(height: 80, width: 50))
      let found = grid.coverage(of: shape, placement)
      for (found, wanted) in zip(found, try numbers(row["coverage"])) {
        XCTAssertEqual(found, wanted, accuracy: 0.01)
      }
      XCTAssertEqual(found.reduce(0, +) / 20, shape.area / 4000, accuracy: 1e-12, "no area is lost")
      for (back, found) in zip(grid.coverage(of: .polygons([points.reversed()]), placement), found) {
        XCTAssertEqual(back, found, accuracy: 1e-12, "either way round")
      }
    }
  }

  // MARK: Patches

  func testFeatureRowsByHand() {
    let grid = PatchGrid(columns: 4, rows: 3, patch: 10, leadingRows: 1)
    let placement = exact(width: 40, height: 30).placement(PictureSize(height: 60, width: 80))
    func rows(_ box: PictureBox, _ share: Double) -> [Int] {
      grid.featureRows(of: RegionShape(box), placement, atLeast: share)
    }
    // In the output: from 5 to 25 and 0 to 14: columns 0 half, 1 whole, 2 half; row 0 whole, row 1 to 0.4.
    let box = PictureBox(10, 0, 50, 28)
    XCTAssertEqual(
      grid.coverage(of: RegionShape(box), placement), [0.5, 1, 0.5, 0, 0.2, 0.4, 0.2, 0, 0, 0, 0, 0])
    XCTAssertEqual(rows(box, 0.5), [1, 2, 3])
    XCTAssertEqual(rows(box, 0.51), [2])
    XCTAssertEqual(rows(box, 0), [1, 2, 3, 5, 6, 7])
    // Smaller than half a patch: where most of it is, and the first of equals.
    XCTAssertEqual(rows(PictureBox(18, 18, 24, 21), 0.5), [2])
    XCTAssertEqual(rows(PictureBox(18, 18, 22, 22), 0.5), [1])
    XCTAssertEqual(rows(PictureBox(0, 0, 80, 60), 1), Array(1...12))
    // A remainder at the right and bottom that no patch takes.
    let wide = exact(width: 45, height: 30).placement(PictureSize(height: 30, width: 45))
    XCTAssertEqual(grid.featureRows(of: RegionShape(PictureBox(41, 0, 45, 9)), wide, atLeast: 0.5), [])
  }

  func testAPatchWhoseRowIsLeftOutHasNone() {
    let grid = PatchGrid(columns: 4, rows: 3, patch: 10, leadingRows: -1)
    let placement = exact(width: 40, height: 30).placement(PictureSize(height: 30, width: 40))
    func rows(_ box: PictureBox, _ share: Double) -> [Int] {
      grid.featureRows(of: RegionShape(box), placement, atLeast: share)
    }
    XCTAssertEqual(rows(PictureBox(0, 0, 40, 30), 1), Array(0..<11))
    XCTAssertEqual(rows(PictureBox(0, 0, 20, 10), 0.5), [0])
    XCTAssertEqual(rows(PictureBox(0, 0, 13, 10), 0.5), [0], "what is left of it")
    XCTAssertEqual(rows(PictureBox(0, 0, 10, 10), 0.5), [])
  }

  func testWhatACropTakesAwayCoversNothing() {
    let grid = PatchGrid(columns: 5, rows: 5, patch: 10, leadingRows: 0)
    let size = PictureSize(height: 100, width: 200)
    let output = PictureSize(height: 50, width: 50)
    let cropped = processor(.shortestEdge(50), crop: output, output).placement(size)
    let region = RegionShape(PictureBox(0, 0, 70, 20))
    XCTAssertEqual(grid.coverage(of: region, cropped).prefix(6), [1, 0, 0, 0, 0, 0])
    // The window is above the region: what lies below it would fall into the bar, and is not seen.
    var view = PictureVariant(size)
    view.window = PictureWindow(left: 0, top: 0, width: 200, height: 50)
    let bars = processor(.exactly(height: 50, width: 50), crop: nil, output, pads: true).placement(size, view: view)
    XCTAssertEqual(grid.coverage(of: RegionShape(PictureBox(0, 60, 200, 100)), bars).max(), 0)
  }

  // MARK: Colours

  func testColoursAreThoseOfPillow() throws {
    let rows = try expected("colours")
    XCTAssertEqual(rows.count, 81)
    for row in rows {
      let picture = try Fixtures.picture(XCTUnwrap(row["file"]?.string))
      let factor = Float(try XCTUnwrap(row["factor"]?.double))
      let changed =
        switch row["kind"]?.string {
        case "brightness": picture.brightened(by: factor)
        case "contrast": picture.contrasted(by: factor)
        default: picture.saturated(by: factor)
        }
      XCTAssertEqual(sum(changed.pixels), row["sum"]?.string, "\(row)")
    }
  }

  func testAViewInItsOrder() {
    let picture = Picture.scene(width: 31, height: 20)
    var view = PictureVariant(picture.size)
    XCTAssertEqual(picture.seen(view), picture)
    view.window = PictureWindow(left: 3, top: 4, width: 9, height: 5)
    view.isMirrored = true
    (view.colours.brightness, view.colours.contrast, view.colours.saturation) = (0.8, 1.2, 0.5)
    let part = Picture(width: 9, height: 5) { target in
      for index in target.indices {
        let (x, y, channel) = (index / 3 % 9, index / 27, index % 3)
        target[index] = picture.pixels[3 * ((4 + y) * 31 + 3 + 8 - x) + channel]
      }
    }
    XCTAssertEqual(
      picture.seen(view), part.brightened(by: 0.8).contrasted(by: 1.2).saturated(by: 0.5))
  }
}
