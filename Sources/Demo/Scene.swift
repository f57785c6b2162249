/// The outline of a figure; the raw value is its name in the questions.
enum Shape: String, CaseIterable, Sendable {
  case circle, square, triangle, star

  /// The name for `count` figures.
  func noun(_ count: Int) -> String { count == 1 ? rawValue : rawValue + "s" }
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

/// All that decides what a picture shows: one to three figures, alike in shape and colour, on one half of it.
struct Scene: Equatable, Sendable {
  enum Side: String, CaseIterable, Sendable { case left, right }

  var width: Int
  var height: Int
  var shape: Shape
  var colour: Colour
  var side: Side
  var figures: [Figure]
  var backdrop: Backdrop

  var count: Int { figures.count }
}

extension Scene {
  /// Draws lots for everything. Shape, colour, number and side are independent of each other, so that no question
  /// can be answered from its text.
  init(_ dice: inout Dice) {
    width = dice.integer(in: 112...208)
    height = min(max(Int(Double(width) * dice.number(in: 0.75...1.33)), 112), 208)
    let (shape, colour, side) = (dice.pick(Shape.allCases), dice.pick(Colour.allCases), dice.pick(Side.allCases))
    (self.shape, self.colour, self.side) = (shape, colour, side)
    // Different rows of the half, each figure a little off the middle of its own.
    let rows = dice.shuffled([0, 1, 2]).prefix(dice.integer(in: 1...3))
    let (middle, radius) = (side == .left ? 0.25 : 0.75, dice.number(in: 0.13...0.15))
    figures = rows.map { row in
      Figure(
        shape: shape, colour: colour, x: middle + dice.number(in: -0.06...0.06),
        y: (Double(row) + 0.5) / 3 + dice.number(in: -0.01...0.01), radius: radius * dice.number(in: 0.92...1),
        angle: dice.number(in: -0.12...0.12))
    }
    backdrop = Backdrop(&dice)
  }
}
