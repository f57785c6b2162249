import Ground

/// A set of pictures with what is said about them: a pure function of seed, purpose and size.
struct PictureSet: Sendable {
  /// Sets of different purposes never share a picture.
  enum Purpose: UInt64, Sendable {
    case training = 1
    case heldOut = 2
    case pretraining = 3

    var prefix: String {
      switch self {
      case .training: "train"
      case .heldOut: "held-out"
      case .pretraining: "scene"
      }
    }
  }

  var purpose: Purpose
  var count: Int
  var seed: UInt64 = 0

  /// The scene of one picture.
  func scene(_ index: Int) -> Scene {
    purpose == .heldOut ? heldOut(index).scene : drawLots(index, attempt: 0).scene
  }

  /// The name of a picture's file.
  func fileName(_ index: Int) -> String {
    let digits = String(index)
    let number = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    return "\(purpose.prefix)-\(number).\(scene(index).fileEnding)"
  }

  /// All questions about a picture of a training set, as one conversation.
  func conversation(_ index: Int) -> [Question] {
    var (scene, dice) = drawLots(index, attempt: 0)
    return scene.questions(&dice)
  }

  /// The one question about a picture of a held-out set. Families take turns, and so do the answers of each family.
  func question(_ index: Int) -> Question { heldOut(index).question }

  /// Scenes are drawn until one has the answer that is due.
  private func heldOut(_ index: Int) -> (scene: Scene, question: Question) {
    let families = Question.Family.allCases
    let family = families[index % families.count]
    let answer = family.options[index / families.count % family.options.count]
    for attempt in 0... {
      var (scene, dice) = drawLots(index, attempt: attempt)
      let found = scene.questions(&dice).first { $0.family == family && $0.answer == answer }
      if let found { return (scene, found) }
    }
    fatalError("a scene with every answer exists")
  }

  private func drawLots(_ index: Int, attempt: Int) -> (scene: Scene, dice: Dice) {
    var dice = Dice([0x64_656d_6f, seed, purpose.rawValue, UInt64(index), UInt64(attempt)])
    return (Scene(&dice), dice)
  }
}
