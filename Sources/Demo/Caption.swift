/// A request to describe a picture and the description: what the model that comes with the program was trained on
/// before it ever saw a question.
struct Caption: Equatable, Sendable {
  let request: String
  let text: String
}

extension Caption {
  /// A description in a style that is drawn by lot. Each style has one order, so that there is one right text.
  init(_ scene: Scene, _ dice: inout Dice) {
    let (number, colour) = (Question.numberWords[scene.count - 1], scene.colour.rawValue)
    let (noun, side) = (scene.shape.noun(scene.count), scene.side.rawValue)
    let styles = [
      ("Describe the picture.", "\(number) \(colour) \(noun) \(side)"),
      ("Begin with the place.", "\(side) \(number) \(colour) \(noun)"),
      ("Begin with the colour.", "\(colour) \(noun) \(number) \(side)"),
      ("Begin with the shape.", "\(noun) \(colour) \(side) \(number)"),
    ]
    let style = dice.pick(styles)
    self.init(request: style.0, text: style.1)
  }
}
