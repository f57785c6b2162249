import Foundation
import Ground
import TestSupport
import XCTest

/// A data set that can be answered without its pictures: a note in the question names the answer. A model takes what is
/// easier, and the remedies of `docs/shortcuts.md` make it look at the pictures.
final class ShortcutTests: ProgramTestCase {
  private static let pictures = [
    "00-wide.jpg", "01-tall.jpg", "02-exact.jpg", "03-small.jpg", "04-grey.jpg", "05-odd.jpg", "08-turned.jpg",
    "09-progressive.jpg", "10-square.jpg", "11-long.jpg",
  ]
  private static let answers = ["left", "right"]

  /// Every picture has an answer of its own; the note names that one, or the other.
  private func records(notesAreRight: Bool) -> String {
    let lines = ShortcutTests.pictures.enumerated().map { number, picture -> String in
      let answer = ShortcutTests.answers[number % 2]
      let note = ShortcutTests.answers[(number + (notesAreRight ? 0 : 1)) % 2]
      let record: JSON = [
        "image": .string(picture),
        "conversations": [
          ["from": "human", "value": .string("<image>Which side? \(note)")], ["from": "gpt", "value": .string(answer)],
        ],
      ]
      return record.description
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private struct Learned {
    /// The share of right answers with right and with wrong notes.
    var right = 0.0
    var wrong = 0.0
    /// Whether the run said that the pictures are ignored.
    var isWarned = false
  }

  private func learn(_ name: String, _ remedy: [String]) throws -> Learned {
    let ended = try succeed(["train", "-c", "run.yaml"] + sets("output=\(name)") + remedy)
    var learned = Learned()
    learned.isWarned = (ended.errors + ended.output).contains("the model ignores the pictures")
    for isRight in [true, false] {
      let report = "\(name)-\(isRight).json"
      try succeed(
        [
          "eval", "-c", "run.yaml", "--checkpoint", "\(name)/checkpoints/step-00000080", "--data", "\(isRight).jsonl",
          "--images", Golden("llava-siglip-qwen2").imagesFolder, "--metrics", "exact_match", "--max-new-tokens", "12",
          "--output", report,
        ] + sets("output=\(name)"))
      let found = try XCTUnwrap(JSON(contentsOf: path(report))["metrics"]?["exact_match"]?.double)
      if isRight { learned.right = found } else { learned.wrong = found }
    }
    return learned
  }

  func testWithoutRemediesTheNoteIsFollowedAndWithThemThePicture() throws {
    let golden = try Golden("llava-siglip-qwen2")
    try write("true.jsonl", records(notesAreRight: true))
    try write("false.jsonl", records(notesAreRight: false))
    let part = "{train: full, learning_rate: 3.0e-3}"
    try write(
      "run.yaml",
      """
      model: \(golden.modelFolder)
      data:
        train: [{path: true.jsonl, images: \(golden.imagesFolder)}]
        validation: [{path: true.jsonl, images: \(golden.imagesFolder)}]
      train:
        steps: 80
        global_batch: 10
        micro_batch: 10
        precision: float32
        parts: {vision: \(part), projector: \(part), language: \(part)}
        schedule: {name: cosine, warmup_steps: 5}
      checkpoint: {every: 80}
      evaluate: {probe: {every: 10}}
      """)
    let plain = try learn("plain", [])
    XCTAssertEqual(plain.right, 1)
    XCTAssertLessThanOrEqual(plain.wrong, 0.2, "the note is followed")
    XCTAssertTrue(plain.isWarned)
    let remedies = [
      "dropout": sets("train.text_dropout=0.5"), "contrast": sets("train.objective.image_contrast={weight: 1}"),
    ]
    for (name, remedy) in remedies {
      let seeing = try learn(name, remedy)
      XCTAssertGreaterThanOrEqual(seeing.right, 0.9, name)
      XCTAssertGreaterThanOrEqual(seeing.wrong, 0.8, "\(name): the picture is followed")
      XCTAssertFalse(seeing.isWarned, name)
    }
  }
}
