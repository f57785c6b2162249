/// The outline of a figure; the raw value is its name in the questions.
enum Shape: String, CaseIterable, Sendable {
  case circle, square, triangle, star, ring, cross

  /// The name for `count` figures.
  func noun(_ count: Int) -> String {
    guard count != 1 else { return rawValue }
    return rawValue + (self == .cross ? "es" : "s")
  }
}

/// The colour of a figure; the raw value is its name in the questions.
enum Colour: String, CaseIterable, Sendable {
  case red, orange, yellow, green, blue, purple
}

/// One shape on a picture.
struct Figure: Equatable, Sendable {
  var shape: Shape
  var colour: Colour
  /// The centre, as fractions of width and height from the upper left corner.
  var x: Double
  var y: Double
  /// The radius of the circle around it, as a fraction of the shorter side.
  var radius: Double
  /// Radians, clockwise.
  var angle: Double
}

/// Figures that are alike in shape and colour.
struct Group: Equatable, Sendable {
  var figures: [Figure]
  var shape: Shape { figures[0].shape }
  var colour: Colour { figures[0].colour }
  var count: Int { figures.count }
}

/// All that decides what a picture shows: groups of figures that differ from each other in shape and in colour.
struct Scene: Equatable, Sendable {
  /// Which questions a scene is for.
  enum Kind: CaseIterable, Sendable {
    /// Two or three single figures side by side.
    case row
    /// Two groups of one to four figures each.
    case crowd
  }

  var kind: Kind
  var width: Int
  var height: Int
  var groups: [Group]
  var backdrop: Backdrop
}

extension Scene {
  /// Draws lots for everything. Shape, colour, number and place of each group are independent of each other, so that
  /// no question can be answered from its text.
  init(_ kind: Kind, _ dice: inout Dice) {
    self.kind = kind
    width = dice.integer(in: 112...208)
    height = min(max(Int(Double(width) * dice.number(in: 0.75...1.33)), 112), 208)
    let shapes = dice.shuffled(Shape.allCases)
    let colours = dice.shuffled(Colour.allCases)
    let counts =
      switch kind {
      case .row: Array(repeating: 1, count: dice.integer(in: 2...3))
      case .crowd: [dice.integer(in: 1...4), dice.integer(in: 1...4)]
      }
    var places = Scene.places(kind, counts.reduce(0, +), &dice)
    groups = counts.enumerated().map { index, count in
      let radius = kind == .row ? dice.number(in: 0.12...0.155) : dice.number(in: 0.105...0.14)
      let figures = (0..<count).map { _ in
        let (x, y) = places.removeLast()
        let angle = dice.number(in: -0.25...0.25)
        return Figure(
          shape: shapes[index], colour: colours[index], x: x, y: y, radius: radius * dice.number(in: 0.92...1),
          angle: angle)
      }
      return Group(figures: figures)
    }
    backdrop = Backdrop(&dice)
  }

  /// Centres in different cells of a 3 × 3 grid, for a row in different columns, a little off their middle.
  private static func places(_ kind: Kind, _ count: Int, _ dice: inout Dice) -> [(x: Double, y: Double)] {
    let cells: [Int]
    switch kind {
    case .row: cells = dice.shuffled([0, 1, 2]).prefix(count).map { $0 + 3 * dice.index(below: 3) }
    case .crowd: cells = Array(dice.shuffled(Array(0..<9)).prefix(count))
    }
    return cells.map { cell in
      (
        (Double(cell % 3) + 0.5) / 3 + dice.number(in: -0.018...0.018),
        (Double(cell / 3) + 0.5) / 3 + dice.number(in: -0.018...0.018)
      )
    }
  }
}
