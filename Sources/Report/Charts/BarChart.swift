/// Bars from left to right, one a line: counts and rates by name.
public struct BarChart: Element {
  public struct Bar: Sendable {
    public var name: String
    public var value: Double
    /// What stands behind the bar, such as "1,204 (12.1 %)"; nil: the value.
    public var label: String?
    public var series: Int

    public init(_ name: String, _ value: Double, label: String? = nil, series: Int = 0) {
      (self.name, self.value, self.label, self.series) = (name, value, label, series)
    }
  }

  public var caption: String
  public var bars: [Bar]
  /// The length that stands for the whole width; nil: that of the longest bar.
  public var full: Double?

  public init(_ caption: String, _ bars: [Bar], full: Double? = nil) {
    (self.caption, self.bars, self.full) = (caption, bars, full)
  }

  public var html: HTML {
    let (row, left, right) = (20.0, 190.0, 150.0)
    let longest = max(full ?? bars.map(\.value).filter(\.isFinite).max() ?? 0, 1e-300)
    var drawing: HTML = ""
    for (number, bar) in bars.enumerated() {
      let top = Double(number) * row + 4
      let share = bar.value.isFinite ? min(max(bar.value / longest, 0), 1) : 0
      let width = share * (Field.width - left - right)
      drawing += """
        <text class="label" x="\(left - 8)" y="\(top + 12)" text-anchor="end">\(fitted(bar.name))\
        <title>\(bar.name)</title></text>\
        <rect x="\(left)" y="\(top + 2)" width="\(max(width, 1))" height="\(row - 6)" rx="1.5" \
        fill="\(Page.colour(bar.series))"/>\
        <text x="\(left + width + 6)" y="\(top + 12)">\(bar.label ?? Axis.label(bar.value))</text>

        """
    }
    return figure(caption, height: Double(bars.count) * row + 8, drawing, .rows)
  }
}

/// A name that fits beside a row: as many characters as 24 of Latin letters are wide, those of East Asia counted twice.
func fitted(_ name: String) -> String {
  var (kept, room) = ("", 24)
  for character in name {
    room -= (character.unicodeScalars.first?.value ?? 0) >= 0x1100 ? 2 : 1
    guard room >= 0 else { return kept + "…" }
    kept.append(character)
  }
  return kept
}

/// Text of at most `most` characters; what is left out shows as "…".
public func shortened(_ text: String, _ most: Int) -> String {
  text.count <= most ? text : text.prefix(max(1, most - 1)) + "…"
}
