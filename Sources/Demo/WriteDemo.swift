import Foundation
import Ground

/// Writes the demo: `model/`, `images/`, `train.jsonl`, `held-out.jsonl`, and last `mmdist.yaml`: where that is, the
/// demo is whole.
/// - Parameters:
///   - recipe: the run file.
///   - trainingPictures: fewer than all are enough for a run of a few steps.
/// - Throws: as ``writeDemoFiles(to:part:of:trainingPictures:)``.
public func writeDemo(to folder: String, recipe: Recipe = .demo, trainingPictures: Int? = nil) throws {
  try writeDemoFiles(to: folder, trainingPictures: trainingPictures)
  try writeDemoRunFile(to: folder, recipe: recipe)
}

/// Writes the run file of a demo, all of whose other files are there.
/// - Throws: `Fault(.cannotWrite)`.
public func writeDemoRunFile(to folder: String, recipe: Recipe = .demo) throws {
  try writeDurably(recipe.text(.demo), to: folder + "/mmdist.yaml")
}

/// Writes all of the demo but its run file.
///
/// Several ranks share the drawing: each writes the pictures whose number is `part` modulo `parts`, the first also
/// everything else.
/// - Throws: `Fault(.cannotWrite)`, or `Fault(.missingInput)` when the model that comes with the program is not found.
public func writeDemoFiles(
  to folder: String, part: Int = 0, of parts: Int = 1, trainingPictures: Int? = nil
) throws {
  precondition((0..<parts).contains(part), "writeDemo: part \(part) of \(parts)")
  // Without the model nothing is drawn.
  let model = part == 0 ? try DemoModel.folder() : nil
  let training = PictureSet(purpose: .training, count: trainingPictures ?? PictureSet.training.count)
  let heldOut = PictureSet.heldOut
  for set in [training, heldOut] {
    try set.writePictures(to: folder + "/images", part: part, of: parts)
  }
  guard let model else { return }
  try makeFolder(folder + "/model")
  for name in DemoModel.files { try writeDurably(readFile("\(model)/\(name)"), to: "\(folder)/model/\(name)") }
  let conversations = training.records { training.conversation($0).map { ($0.text, $0.answer) } }
  let questions = heldOut.records { [(heldOut.question($0).text, heldOut.question($0).answer)] }
  try writeDurably(conversations, to: folder + "/train.jsonl")
  try writeDurably(questions, to: folder + "/held-out.jsonl")
}

extension PictureSet {
  /// The pictures that the demo trains on.
  static let training = PictureSet(purpose: .training, count: 4096)
  /// The pictures that it is examined on: as many of each family of questions, and of each answer.
  static let heldOut = PictureSet(purpose: .heldOut, count: 384)
}
