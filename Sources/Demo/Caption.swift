/// A request to describe a picture and the description: what the model that comes with the program was trained on
/// before it ever saw a question.
struct Caption: Equatable, Sendable {
  let request: String
  let text: String
}

extension Caption {
  /// A description in a style that is drawn by lot. Each style has one order, so that there is one right text.
  init(_ scene: Scene, _ dice: inout Dice) {
    let byColour = scene.groups.sorted { Colour.allCases.place($0.colour) < Colour.allCases.place($1.colour) }
    let byShape = scene.groups.sorted { Shape.allCases.place($0.shape) < Shape.allCases.place($1.shape) }
    let byNumber = byColour.sorted { $0.count > $1.count }  // a stable sort
    switch (dice.index(below: 7), scene.kind) {
    case (4..., _): self.init(request: "Go through the rows.", text: scene.rows)
    case (0, _): self.init(request: "List by colour.", text: byColour.listed { "\($0.colour): \($0.counted)" })
    case (1, _):
      self.init(request: "List by shape.", text: byShape.listed { "\($0.shape): \($0.numberWord) \($0.colour)" })
    case (2, .crowd), (3, .crowd):
      self.init(request: "List by number.", text: byNumber.listed { "\($0.numberWord) \($0.colour) \($0.noun)" })
    case (2, .row):
      let inOrder = scene.groups.sorted { $0.figures[0].x < $1.figures[0].x }
      self.init(request: "Go from left to right.", text: "left " + inOrder.listed { "\($0.colour) \($0.noun)" })
    default:
      let inOrder = scene.groups.sorted { $0.figures[0].x > $1.figures[0].x }
      self.init(request: "Go from right to left.", text: "right " + inOrder.listed { "\($0.colour) \($0.noun)" })
    }
  }
}

extension Group {
  fileprivate var noun: String { shape.noun(count) }
  fileprivate var numberWord: String { Question.numberWords[count - 1] }
  fileprivate var counted: String { "\(numberWord) \(noun)" }
}

extension Scene {
  /// What is in each of the nine cells of the picture, row by row.
  fileprivate var rows: String {
    var cells = Array(repeating: "none", count: 9)
    for figure in groups.flatMap(\.figures) {
      cells[3 * Int(3 * figure.y) + Int(3 * figure.x)] = "\(figure.colour) \(figure.shape)"
    }
    return (0..<3).map { cells[3 * $0..<3 * $0 + 3].joined(separator: ", ") }.joined(separator: "; ") + "."
  }
}

extension [Group] {
  fileprivate func listed(_ words: (Group) -> String) -> String { map(words).joined(separator: ", ") + "." }
}

extension Array where Element: Equatable {
  fileprivate func place(_ element: Element) -> Int { firstIndex(of: element) ?? count }
}
