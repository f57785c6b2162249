/// The squares that a vision encoder cuts a picture into, and the rows of features that they become.
public struct PatchGrid: Equatable, Sendable {
  public let columns: Int
  public let rows: Int
  /// Side of a patch, in pixels of what the image processor makes.
  public let patch: Int
  /// Rows of features before those of the patches: 1 with a class token, −1 where the first patch's row is left out.
  public let leadingRows: Int

  public init(columns: Int, rows: Int, patch: Int, leadingRows: Int) {
    precondition(
      columns > 0 && rows > 0 && patch > 0 && columns * rows + leadingRows > 0,
      "PatchGrid: \(columns) × \(rows) of \(patch), \(leadingRows) before")
    (self.columns, self.rows, self.patch, self.leadingRows) = (columns, rows, patch, leadingRows)
  }

  /// The share of each patch's area that a region covers, row by row, each at most 1.
  public func coverage(of shape: RegionShape, _ placement: PicturePlacement) -> [Double] {
    var shares = [Double](repeating: 0, count: columns * rows)
    switch shape.clipped(to: placement.visible) {
    case .boxes(let boxes):
      for box in boxes {
        let placed = placement.place(box)
        forEachPatch(under: placed) { shares[$0] += $1.intersection(placed).area }
      }
    case .polygons(let parts):
      for part in parts {
        let placed = part.map(placement.place)
        guard let bounds = RegionShape.polygons([placed]).bounds else { continue }
        forEachPatch(under: bounds) { shares[$0] += RegionShape.area(of: RegionShape.clip(placed, to: $1)) }
      }
    }
    let whole = Double(patch * patch)
    return shares.map { min($0 / whole, 1) }
  }

  /// The rows of features that belong to a region: those of the patches that it covers at least a share of, and where
  /// there is none, that of the patch that it covers most, the first of several; empty where it covers none at all.
  /// Patches whose rows are left out do not count.
  public func featureRows(of shape: RegionShape, _ placement: PicturePlacement, atLeast share: Double) -> [Int] {
    let shares = coverage(of: shape, placement)[max(0, -leadingRows)...]
    let enough = shares.indices.filter { shares[$0] >= share && shares[$0] > 0 }
    if !enough.isEmpty { return enough.map { leadingRows + $0 } }
    guard let most = shares.max(), most > 0, let first = shares.firstIndex(of: most) else { return [] }
    return [leadingRows + first]
  }

  /// Every patch that a box touches: its number and its place.
  private func forEachPatch(under box: PictureBox, _ body: (Int, PictureBox) -> Void) {
    let side = Double(patch)
    func range(_ start: Double, _ end: Double, _ count: Int) -> Range<Int> {
      let first = Int(min(max((start / side).rounded(.down), 0), Double(count)))
      return first..<max(first, Int(min(max((end / side).rounded(.up), 0), Double(count))))
    }
    for row in range(box.y0, box.y1, rows) {
      for column in range(box.x0, box.x1, columns) {
        let (left, top) = (Double(column) * side, Double(row) * side)
        body(row * columns + column, PictureBox(left, top, left + side, top + side))
      }
    }
  }
}
