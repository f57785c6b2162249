import Foundation
import Ground
import Synchronization

extension PictureSet {
  /// Draws and writes the pictures whose number is `part` modulo `parts`, on all cores.
  /// - Throws: `Fault(.cannotWrite)`.
  func writePictures(to folder: String, part: Int = 0, of parts: Int = 1) throws {
    try makeFolder(folder)
    let mine = Array(stride(from: part, to: count, by: parts))
    let firstFault = Mutex<(any Error)?>(nil)
    DispatchQueue.concurrentPerform(iterations: mine.count) { place in
      guard firstFault.withLock({ $0 == nil }) else { return }
      do {
        let index = mine[place]
        try writePlainly(scene(index).encoded(), to: "\(folder)/\(fileName(index))")
      } catch {
        firstFault.withLock { $0 = $0 ?? error }
      }
    }
    if let fault = firstFault.withLock({ $0 }) { throw fault }
  }

  /// The records in LLaVA's layout, one line each.
  /// - Parameter turns: of a picture: what the person says, and what the model is to answer.
  func records(_ turns: (Int) -> [(said: String, answer: String)]) -> String {
    var lines = ""
    for index in 0..<count {
      let conversation = turns(index).enumerated().flatMap { place, turn -> [JSON] in
        [
          ["from": "human", "value": .string((place == 0 ? "<image>" : "") + turn.said)],
          ["from": "gpt", "value": .string(turn.answer)],
        ]
      }
      let record: JSON = [
        "id": .string("\(purpose.prefix)-\(index)"), "image": .string(fileName(index)),
        "conversations": .array(conversation),
      ]
      lines += record.description + "\n"
    }
    return lines
  }
}

/// Writes a file without waiting for the disk: pictures can be drawn again.
private func writePlainly(_ bytes: [UInt8], to path: String) throws {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else {
    throw cannotWrite(path)
  }
  defer { close(descriptor) }
  try bytes.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
}
