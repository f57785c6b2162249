import Foundation

/// How many of some numbers lie in each of some equal ranges.
public struct Histogram: Element {
  public struct Bin: Equatable, Sendable {
    public let range: Range<Double>
    public let count: Int
  }

  public var caption: String
  public var xName: String
  public var bins: [Bin]
  /// Values that lines mark, each with a name: a limit, the median.
  public var marks: [(value: Double, name: String)]
  private let axis: Axis

  /// - Parameters:
  ///   - values: those that are not finite are left out, with `isLogarithmic` also those that are not above 0.
  ///   - isLogarithmic: the ranges are equal factors.
  public init(
    _ caption: String, of values: [Double], x: String, bins count: Int = 40, isLogarithmic: Bool = false,
    marks: [(value: Double, name: String)] = []
  ) {
    let known = values.filter { $0.isFinite && (!isLogarithmic || $0 > 0) }
    let (low, high) = (known.min() ?? 0, known.max() ?? 1)
    var ends = (low, high)
    if !isLogarithmic, let far = marks.map(\.value).filter(\.isFinite).max(), far < 3 * high { ends.1 = max(high, far) }
    axis = isLogarithmic ? Axis(logarithmic: low, high) : Axis(ends.0, ends.1, count: 8)
    bins = Histogram.bins(known, axis, Histogram.binCount(known, axis, most: count))
    (self.caption, xName) = (caption, x)
    let axis = axis
    self.marks = marks.filter { $0.value >= axis.low && $0.value <= axis.high }
  }

  /// Whole numbers get bins of whole widths, so that none stays empty by rounding.
  private static func binCount(_ values: [Double], _ axis: Axis, most: Int) -> Int {
    guard !axis.isLogarithmic, values.allSatisfy({ $0 == $0.rounded() }) else { return most }
    let width = ((axis.high - axis.low) / Double(most)).rounded(.up)
    return max(1, Int(((axis.high - axis.low) / max(1, width)).rounded(.up)))
  }

  private static func bins(_ values: [Double], _ axis: Axis, _ count: Int) -> [Bin] {
    var counts = [Int](repeating: 0, count: count)
    for value in values { counts[min(count - 1, max(0, Int(axis.place(value) * Double(count))))] += 1 }
    func edge(_ place: Int) -> Double {
      let share = Double(place) / Double(count)
      guard axis.isLogarithmic else { return axis.low + share * (axis.high - axis.low) }
      return pow(10, log10(axis.low) + share * (log10(axis.high) - log10(axis.low)))
    }
    return counts.indices.map { Bin(range: edge($0)..<edge($0 + 1), count: counts[$0]) }
  }

  public var html: HTML {
    let most = max(1, bins.map(\.count).max() ?? 1)
    let field = Field(across: axis, up: Axis(0, Double(most), count: min(4, most)), height: 190)
    var drawing = field.frame(across: xName, up: "count")
    for bin in bins where bin.count > 0 {
      let (left, right) = (field.x(bin.range.lowerBound), field.x(bin.range.upperBound))
      let top = field.y(Double(bin.count))
      drawing += """
        <rect x="\(left + 0.5)" y="\(top)" width="\(max(right - left - 1, 1))" height="\(field.y(0) - top)" \
        fill="\(Page.colour(0))"><title>\(Axis.label(bin.range.lowerBound)) – \(Axis.label(bin.range.upperBound)): \
        \(grouped(bin.count))</title></rect>

        """
    }
    for mark in marks {
      let x = field.x(mark.value)
      let isFar = x > Field.width * 0.75
      drawing += """
        <line class="mark" x1="\(x)" x2="\(x)" y1="8" y2="\(field.y(0))"/>\
        <text x="\(x + (isFar ? -4 : 4))" y="18" text-anchor="\(isFar ? "end" : "start")">\(mark.name)</text>

        """
    }
    return figure(caption, height: field.height, drawing)
  }
}
