/// Curves over a common axis: loss and rates over steps.
public struct LineChart: Element {
  public struct Series: Sendable {
    public var name: String
    /// In ascending x; where y is not finite the curve is broken.
    public var points: [(x: Double, y: Double)]

    public init(_ name: String, _ points: [(x: Double, y: Double)]) { (self.name, self.points) = (name, points) }
  }

  public var caption: String
  public var xName: String
  public var yName: String
  public var series: [Series]
  /// Whether y goes by powers of ten; numbers that are not above 0 are left out then.
  public var isLogarithmic: Bool
  /// Places along x that a line marks, each with a name: where a stage begins.
  public var marks: [(x: Double, name: String)]

  public init(
    _ caption: String, x: String, y: String, _ series: [Series], isLogarithmic: Bool = false,
    marks: [(x: Double, name: String)] = []
  ) {
    (self.caption, xName, yName, self.series) = (caption, x, y, series)
    (self.isLogarithmic, self.marks) = (isLogarithmic, marks)
  }

  public var html: HTML {
    let isShown = { (y: Double) in y.isFinite && (!isLogarithmic || y > 0) }
    let points = series.flatMap(\.points).filter { isShown($0.y) && $0.x.isFinite }
    guard let firstX = points.map(\.x).min(), let lastX = points.map(\.x).max(), let low = points.map(\.y).min(),
      let high = points.map(\.y).max()
    else {
      return "<figure><figcaption>\(caption)</figcaption><p class=\"note\">no figures</p></figure>\n"
    }
    let field = Field(
      across: Axis(firstX, lastX, count: 8), up: isLogarithmic ? Axis(logarithmic: low, high) : Axis(low, high))
    var drawing = field.frame(across: xName, up: yName)
    for mark in marks {
      let x = field.x(mark.x)
      drawing += """
        <line class="mark" x1="\(x)" x2="\(x)" y1="\(field.y(field.up.low))" y2="\(field.y(field.up.high))"/>\
        <text x="\(x + 4)" y="18">\(mark.name)</text>

        """
    }
    for (number, line) in series.enumerated() {
      for run in LineChart.runs(line.points, isShown) {
        let kept = LineChart.thinned(run)
        guard kept.count > 1 else {
          if let dot = kept.first {
            drawing +=
              "<circle cx=\"\(field.x(dot.x))\" cy=\"\(field.y(dot.y))\" r=\"2.5\" fill=\"\(Page.colour(number))\"/>\n"
          }
          continue
        }
        let path = kept.map { point -> HTML in "\(field.x(point.x)),\(field.y(point.y)) " }
        drawing += """
          <polyline class="series" stroke="\(Page.colour(number))" points="\(path)"><title>\(line.name)</title></polyline>

          """
      }
    }
    return figure(
      caption, height: field.height, drawing, legend: series.count > 1 ? series.map(\.name) : [], unit: yName)
  }

  /// The stretches of a curve between what is not shown.
  private static func runs(
    _ points: [(x: Double, y: Double)], _ isShown: (Double) -> Bool
  ) -> [ArraySlice<(x: Double, y: Double)>] {
    points.split { !isShown($0.y) || !$0.x.isFinite }
  }

  /// At most about 800 points: of each run of neighbours the lowest and the highest stay, so that no peak is lost.
  static func thinned(_ points: ArraySlice<(x: Double, y: Double)>) -> [(x: Double, y: Double)] {
    let most = 400
    guard points.count > 2 * most else { return Array(points) }
    var kept: [(x: Double, y: Double)] = []
    for block in 0..<most {
      let start = points.startIndex + points.count * block / most
      let end = points.startIndex + points.count * (block + 1) / most
      let part = points[start..<end].indices
      guard let low = part.min(by: { points[$0].y < points[$1].y }),
        let high = part.max(by: { points[$0].y < points[$1].y })
      else { continue }
      for place in low == high ? [low] : [min(low, high), max(low, high)] { kept.append(points[place]) }
    }
    return kept
  }
}
