/// Figures with their intervals over a number that was varied: one line of points for each series.
public struct PointChart: Element {
  public struct Point: Sendable {
    public var x: Double
    public var y: Double
    /// Nil where nothing is known of it.
    public var interval: ClosedRange<Double>?

    public init(_ x: Double, _ y: Double, _ interval: ClosedRange<Double>? = nil) {
      (self.x, self.y, self.interval) = (x, y, interval)
    }
  }

  public struct Series: Sendable {
    public var name: String
    /// In ascending x; points that are not finite are left out.
    public var points: [Point]

    public init(_ name: String, _ points: [Point]) { (self.name, self.points) = (name, points) }
  }

  public var caption: String
  public var xName: String
  public var yName: String
  public var series: [Series]

  public init(_ caption: String, x: String, y: String, _ series: [Series]) {
    (self.caption, xName, yName, self.series) = (caption, x, y, series)
  }

  public var html: HTML {
    let shown = series.map { line in line.points.filter { $0.x.isFinite && $0.y.isFinite } }
    let points = shown.flatMap(\.self)
    let ends = points.flatMap { [$0.y, $0.interval?.lowerBound ?? $0.y, $0.interval?.upperBound ?? $0.y] }
      .filter(\.isFinite)
    guard let low = ends.min(), let high = ends.max() else {
      return "<figure><figcaption>\(caption)</figcaption><p class=\"note\">no figures</p></figure>\n"
    }
    let field = Field(across: PointChart.axis(points.map(\.x)), up: Axis(low, high))
    var drawing = field.frame(across: xName, up: yName)
    for (number, line) in shown.enumerated() {
      let colour = Page.colour(number)
      // Series stand a little apart, so that intervals do not cover each other.
      let shift = 5 * (Double(number) - Double(shown.count - 1) / 2)
      let path = line.map { point -> HTML in "\(field.x(point.x) + shift),\(field.y(point.y)) " }
      drawing += "<polyline class=\"series\" stroke=\"\(colour)\" points=\"\(path)\"/>\n"
      for point in line {
        let (x, y) = (field.x(point.x) + shift, field.y(point.y))
        if let interval = point.interval, interval.lowerBound.isFinite, interval.upperBound.isFinite {
          let (top, bottom) = (field.y(interval.upperBound), field.y(interval.lowerBound))
          drawing += """
            <line x1="\(x)" x2="\(x)" y1="\(top)" y2="\(bottom)" stroke="\(colour)" stroke-width="1.5"/>

            """
        }
        drawing += """
          <circle cx="\(x)" cy="\(y)" r="3.5" fill="\(colour)"><title>\(series[number].name): \(Axis.label(point.y)) at \
          \(Axis.label(point.x))</title></circle>

          """
      }
    }
    return figure(
      caption, height: field.height, drawing, legend: series.count > 1 ? series.map(\.name) : [], unit: yName)
  }

  /// Few numbers are marked themselves, many by round ones.
  private static func axis(_ numbers: [Double]) -> Axis {
    guard Set(numbers).count > 8, let low = numbers.min(), let high = numbers.max() else {
      return Axis(markedAt: numbers)
    }
    let room = 0.03 * (high - low)
    return Axis(low - room, high + room, count: 8)
  }
}
