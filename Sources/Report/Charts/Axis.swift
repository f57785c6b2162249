import Foundation

/// A range of numbers along one side of a chart, with round numbers to mark it by.
struct Axis: Sendable {
  let low: Double
  let high: Double
  let ticks: [Double]
  /// Whether equal steps are equal factors.
  let isLogarithmic: Bool
  /// Whether the marks are equal steps apart, so that all need as many decimals.
  private let isEven: Bool

  /// An axis that holds `low...high`, widened to round numbers.
  /// - Parameter count: about how many marks it gets.
  init(_ low: Double, _ high: Double, count: Int = 5) {
    (isLogarithmic, isEven) = (false, true)
    var (low, high) = (low.isFinite ? low : 0, high.isFinite ? high : 1)
    if high - low < 1e-300 || high - low < 1e-12 * max(abs(low), abs(high)) {
      let room = max(abs(low) * 0.1, 1e-9)
      (low, high) = low == 0 ? (0, 1) : (low - room, high + room)
    }
    let step = Axis.roundStep((high - low) / Double(max(1, count)))
    let first = (low / step).rounded(.down)
    let last = (high / step).rounded(.up)
    ticks = (0...min(100, Int(last - first))).map { (first + Double($0)) * step }
    (self.low, self.high) = (first * step, last * step)
  }

  /// An axis over powers of ten that holds `low...high`, both above 0.
  init(logarithmic low: Double, _ high: Double) {
    (isLogarithmic, isEven) = (true, false)
    let first = log10(max(low, 1e-300)).rounded(.down)
    let last = max(first + 1, log10(max(high, 1e-300)).rounded(.up))
    let step = max(1, ((last - first) / 6).rounded(.up))
    ticks = stride(from: first, through: last, by: step).map { pow(10, $0) }
    (self.low, self.high) = (pow(10, first), pow(10, last))
  }

  /// An axis with a mark at each of some numbers and at no other; equal steps are equal factors where all are above 0 and
  /// the largest is eight times the least or more.
  init(markedAt numbers: [Double]) {
    ticks = Set(numbers).sorted()
    let (first, last) = (ticks.first ?? 0, ticks.last ?? 1)
    (isLogarithmic, isEven) = (first > 0 && last >= 8 * first, false)
    if isLogarithmic {
      let room = pow(last / first, 0.06)
      (low, high) = (first / room, last * room)
    } else {
      let room = last > first ? 0.06 * (last - first) : 1
      (low, high) = (first - room, last + room)
    }
  }

  /// Where a number lies: 0 at the low end, 1 at the high end.
  func place(_ value: Double) -> Double {
    guard isLogarithmic else { return (value - low) / (high - low) }
    return (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low))
  }

  /// 1, 2 or 5 times a power of ten, at least `rough`.
  private static func roundStep(_ rough: Double) -> Double {
    let power = pow(10, log10(rough).rounded(.down))
    return ([1, 2, 5].first { $0 * power >= rough * 0.999 } ?? 10) * power
  }

  /// A mark with as many decimals as tell it from its neighbours.
  func label(of tick: Double) -> String {
    guard isEven, ticks.count > 1, (1e-3..<1e7).contains(max(abs(low), abs(high))) else {
      return Axis.label((tick * 1e12).rounded() / 1e12)
    }
    let digits = max(0, Int((-log10(ticks[1] - ticks[0]) - 1e-6).rounded(.up)))
    guard digits > 0 else { return Axis.label(tick) }
    return digits > 9 ? Axis.label(tick) : String(format: "%.\(digits)f", tick)
  }

  /// A number as a reader wants it: 1,200, 0.05, 2e-5.
  static func label(_ value: Double) -> String {
    let size = abs(value)
    if size == 0 { return "0" }
    if size >= 1e7 || size < 1e-4 {
      let power = log10(size).rounded(.down)
      let head = (value / pow(10, power) * 100).rounded() / 100
      let text = head == head.rounded() ? String(Int(head)) : String(head)
      return "\(text)e\(Int(power))"
    }
    if size >= 1000 || value == value.rounded() { return grouped(Int(value.rounded())) }
    let digits = max(0, 3 - Int(log10(size).rounded(.down)))
    let factor = pow(10.0, Double(digits))
    return String((value * factor).rounded() / factor)
  }
}

/// The field of a chart with its axes: turns numbers into places.
struct Field {
  static let width = 640.0
  let height: Double
  let left: Double
  let right: Double
  let top = 8.0
  let bottom: Double
  let across: Axis
  let up: Axis

  init(across: Axis, up: Axis, height: Double = 230, left: Double = 76, right: Double = 28, bottom: Double = 40) {
    (self.across, self.up, self.height) = (across, up, height)
    (self.left, self.right, self.bottom) = (left, right, bottom)
  }

  func x(_ value: Double) -> Double { left + across.place(value) * (Field.width - left - right) }
  func y(_ value: Double) -> Double { height - bottom - up.place(value) * (height - bottom - top) }

  /// Grid lines, numbers and names of both axes.
  func frame(across name: String, up upName: String) -> HTML {
    var result: HTML = ""
    for tick in up.ticks {
      result += """
        <line class="grid" x1="\(left)" x2="\(Field.width - right)" y1="\(y(tick))" y2="\(y(tick))"/>\
        <text x="\(left - 6)" y="\(y(tick) + 4)" text-anchor="end">\(up.label(of: tick))</text>

        """
    }
    let base = height - bottom
    for tick in across.ticks {
      result += "<text x=\"\(x(tick))\" y=\"\(base + 15)\" text-anchor=\"middle\">\(across.label(of: tick))</text>\n"
    }
    result += """
      <line class="axis" x1="\(left)" x2="\(Field.width - right)" y1="\(base)" y2="\(base)"/>
      <text x="\((left + Field.width - right) / 2)" y="\(height - 6)" text-anchor="middle">\(name)</text>
      <text class="up" x="12" y="\(base / 2 + 4)" text-anchor="middle" transform="rotate(-90 12 \(base / 2))">\(upName)</text>

      """
    return result
  }
}

/// What a chart is made of: it decides how the chart stays readable on narrow screens.
enum ChartKind: String {
  /// Curves and columns in a field: their words grow.
  case plot
  /// Named rows: they keep their size, and the reader moves them sideways.
  case rows
}

/// A chart under its caption.
/// - Parameter unit: the name of the axis upwards, which stands behind the caption where the screen is narrow.
func figure(
  _ caption: String, height: Double, _ drawing: HTML, legend: [String] = [], unit: String = "",
  _ kind: ChartKind = .plot
) -> HTML {
  let entries = legend.enumerated().map { number, name -> HTML in
    "<span><i style=\"background:\(Page.colour(number))\"></i>\(name)</span>"
  }
  return """
    <figure class="\(kind.rawValue)"><figcaption>\(caption)\(unit.isEmpty ? "" : " <span>\(unit)</span>" as HTML)</figcaption>
    \(legend.isEmpty ? "" : "<div class=\"legend\">\(entries)</div>\n" as HTML)\
    <svg viewBox="0 0 \(Field.width) \(height)" role="img" aria-label="\(caption)">
    \(drawing)</svg></figure>

    """
}
