/// Values with their intervals, one a line: rates of groups, scores with confidence.
public struct IntervalChart: Element {
  public struct Row: Sendable {
    public var name: String
    public var value: Double
    public var interval: ClosedRange<Double>
    public var label: String?
    public var series: Int

    public init(
      _ name: String, _ value: Double, _ interval: ClosedRange<Double>, label: String? = nil, series: Int = 0
    ) {
      (self.name, self.value, self.interval, self.label, self.series) = (name, value, interval, label, series)
    }
  }

  public var caption: String
  public var rows: [Row]
  public var axisName: String
  /// Values that lines mark, each with a name: chance, the mean of all.
  public var marks: [(value: Double, name: String)]
  /// The ends of the axis; nil: as the intervals ask for.
  public var range: ClosedRange<Double>?

  public init(
    _ caption: String, _ rows: [Row], axis: String, marks: [(value: Double, name: String)] = [],
    range: ClosedRange<Double>? = nil
  ) {
    (self.caption, self.rows, axisName, self.marks, self.range) = (caption, rows, axis, marks, range)
  }

  public var html: HTML {
    let (row, left, right, bottom) = (22.0, 190.0, 110.0, 40.0)
    let ends = rows.flatMap { [$0.interval.lowerBound, $0.interval.upperBound, $0.value] } + marks.map(\.value)
    let known = ends.filter(\.isFinite)
    let axis = range.map { Axis($0.lowerBound, $0.upperBound) } ?? Axis(known.min() ?? 0, known.max() ?? 1)
    let height = Double(rows.count) * row + bottom + 16
    let field = Field(across: axis, up: Axis(0, 1, count: 1), height: height, left: left, right: right, bottom: bottom)
    let base = height - bottom
    var drawing: HTML = ""
    for tick in axis.ticks {
      drawing += """
        <line class="grid" x1="\(field.x(tick))" x2="\(field.x(tick))" y1="8" y2="\(base)"/>\
        <text x="\(field.x(tick))" y="\(base + 15)" text-anchor="middle">\(axis.label(of: tick))</text>

        """
    }
    drawing +=
      "<text x=\"\((left + Field.width - right) / 2)\" y=\"\(height - 6)\" text-anchor=\"middle\">\(axisName)</text>\n"
    for mark in marks where mark.value.isFinite {
      let x = field.x(mark.value)
      drawing += """
        <line class="mark" x1="\(x)" x2="\(x)" y1="8" y2="\(base)"><title>\(mark.name)</title></line>\
        <text x="\(x + 4)" y="12">\(mark.name)</text>

        """
    }
    for (number, item) in rows.enumerated() where item.value.isFinite {
      let middle = Double(number) * row + 26
      let (low, high) = (field.x(item.interval.lowerBound), field.x(item.interval.upperBound))
      let colour = Page.colour(item.series)
      drawing += """
        <text class="label" x="\(left - 8)" y="\(middle + 4)" text-anchor="end">\(fitted(item.name))\
        <title>\(item.name)</title></text>\
        <line x1="\(low)" x2="\(high)" y1="\(middle)" y2="\(middle)" stroke="\(colour)" stroke-width="2"/>\
        <circle cx="\(field.x(item.value))" cy="\(middle)" r="4" fill="\(colour)"/>\
        <text x="\(Field.width - right + 8)" y="\(middle + 4)">\(item.label ?? Axis.label(item.value))</text>

        """
    }
    return figure(caption, height: height, drawing, .rows)
  }
}
