import Datasets
import Foundation
import Ground

/// A conversation as a question: what leads up to the last thing that the assistant says, and what is right to say there.
public struct Question: Equatable, Sendable {
  /// The turns before the last of the assistant's.
  public let prompt: [Turn]
  /// The pictures of those turns.
  public let images: [ImageLocation]
  /// The record's own `answers` or `references`, else what the assistant says in the record.
  public let references: [String]
  /// The record's own `json_schema`, which its answer is to keep.
  public let schema: JSON?

  /// What the user says last, without image tags.
  public var text: String {
    (prompt.last { $0.role == .user }?.text ?? "").withoutImageTags
  }
}

extension Record {
  /// - Throws: `Fault(.badData)` at the record without an answer of the assistant, or whose references are no texts.
  public func question() throws -> Question {
    guard let last = turns.lastIndex(where: { $0.role == .assistant }) else {
      throw Fault(
        .badData, "there is no question: no turn is the assistant's", at: place, "add an answer or remove the record")
    }
    let prompt = Array(turns[..<last])
    let shown = prompt.reduce(0) { $0 + $1.text.components(separatedBy: Record.imageTag).count - 1 }
    return Question(
      prompt: prompt, images: Array(images.prefix(shown)),
      references: try ownReferences() ?? [turns[last].text.trimmingCharacters(in: .whitespacesAndNewlines)],
      schema: metadata["json_schema"].flatMap { $0.isNull ? nil : $0 })
  }

  /// `answers` or `references`: a text, a list of texts, or of objects with an `answer`, as VQA has them.
  private func ownReferences() throws -> [String]? {
    for name in ["answers", "references"] {
      guard let listed = metadata[name], !listed.isNull else { continue }
      let texts = (listed.array ?? [listed]).map { $0.string ?? $0["answer"]?.string }
      guard !texts.isEmpty, texts.allSatisfy({ $0 != nil }) else {
        throw Fault(
          .badData, "'\(name)' is no list of texts", at: place, "write it as [\"…\", …] or [{\"answer\": \"…\"}, …]")
      }
      return texts.compactMap(\.self)
    }
    return nil
  }

  /// The same conversation about other pictures.
  func showing(_ images: [ImageLocation]) -> Record {
    precondition(images.count == self.images.count, "showing: \(images.count) pictures for \(self.images.count)")
    return Record(id: id, turns: turns, images: images, place: place, index: index, metadata: metadata)
  }

  /// The same conversation without any picture: image tags go, and with each one line break beside it.
  func withoutPictures() -> Record {
    Record(
      id: id, turns: turns.map { $0.saying($0.text.withoutImageTags) }, images: [], place: place, index: index,
      metadata: metadata)
  }
}

extension String {
  fileprivate var withoutImageTags: String {
    [Record.imageTag + "\n", "\n" + Record.imageTag, Record.imageTag].reduce(self) {
      $0.replacingOccurrences(of: $1, with: "")
    }
  }
}
