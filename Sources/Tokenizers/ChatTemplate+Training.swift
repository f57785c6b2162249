import Ground
import Jinja

/// The text of a conversation and which of it a model learns to say.
public struct TrainingText: Equatable, Sendable {
  public let text: String
  /// The supervised pieces in UTF-8 offsets: sorted, disjoint, not empty.
  public let supervised: [Range<Int>]
  /// Of which message each of these is.
  public let speakers: [Int]
  /// Where each named part came out, from its first byte to its last; not there if it did not.
  public let named: [Int: Range<Int>]
}

extension ChatTemplate {
  /// Renders a conversation and finds what is supervised.
  ///
  /// Of an assistant's turn it is what `{% generation %}` encloses; in templates without it, the turn from the end of the
  /// generation prompt through the end-of-turn token. Of other turns it is the content, from where it came out, through
  /// the end-of-turn token.
  ///
  /// `endTokens` are the texts of special tokens; the first of them that follows the content of a turn ends it. Where
  /// none follows before the next turn, the content does.
  /// - Parameter trained: the numbers of the messages that are supervised; nil: those of the assistant.
  /// - Throws: as ``render(_:addGenerationPrompt:)``.
  public func renderForTraining(
    _ messages: [ChatMessage], endTokens: Set<String>, trained: Set<Int>? = nil
  ) throws -> TrainingText {
    let whole = try rendering(messages, addGenerationPrompt: false)
    let turns = Turns(self, messages, whole, endTokens)
    let trained = trained ?? Set(turns.assistants)
    var pieces = template.marksGeneration ? whole.generated.flatMap(turns.assigned) : []
    for turn in messages.indices where trained.contains(turn) {
      if template.marksGeneration, messages[turn].role == "assistant" { continue }
      if let span = turns.supervisedSpan(of: turn) { pieces.append((turn, span)) }
    }
    var (supervised, speakers): ([Range<Int>], [Int]) = ([], [])
    for (turn, span) in pieces.sorted(by: { $0.span.lowerBound < $1.span.lowerBound }) where trained.contains(turn) {
      let start = max(span.lowerBound, supervised.last?.upperBound ?? 0)
      guard start < span.upperBound else { continue }
      supervised.append(start..<span.upperBound)
      speakers.append(turn)
    }
    return TrainingText(text: whole.text, supervised: supervised, speakers: speakers, named: whole.named)
  }
}

extension Rendering {
  /// Where each named part came out.
  fileprivate var named: [Int: Range<Int>] {
    var places: [Int: Range<Int>] = [:]
    for piece in marked {
      guard let name = ContentMark(piece.mark).name else { continue }
      places[name] = (places[name]?.lowerBound ?? piece.range.lowerBound)..<piece.range.upperBound
    }
    return places
  }
}

/// Where the turns of a conversation stand in its rendering. Offsets count UTF-8 bytes.
private struct Turns {
  private let template: ChatTemplate
  private let messages: [ChatMessage]
  private let text: [UInt8]
  /// Where the content of each message came out, from its first byte to its last.
  private var contents: [Int: Range<Int>] = [:]
  private let endTokens: [[UInt8]]

  init(_ template: ChatTemplate, _ messages: [ChatMessage], _ whole: Rendering, _ endTokens: Set<String>) {
    self.template = template
    self.messages = messages
    self.endTokens = endTokens.filter { !$0.isEmpty }.map { Array($0.utf8) }
    text = Array(whole.text.utf8)
    for piece in whole.marked {
      let message = ContentMark(piece.mark).message
      let start = contents[message]?.lowerBound ?? piece.range.lowerBound
      contents[message] = start..<piece.range.upperBound
    }
  }

  /// The messages of the assistant.
  var assistants: [Int] { messages.indices.filter { messages[$0].role == "assistant" } }

  /// A piece that the template marks as generated, cut where it goes over to the content of another assistant's turn.
  ///
  /// One that holds no content belongs to the turn that is empty there, else to the one before it.
  func assigned(_ generated: Range<Int>) -> [(turn: Int, span: Range<Int>)] {
    let held = assistants.compactMap { turn in contents[turn].map { (turn: turn, place: $0) } }
      .filter { $0.place.overlaps(generated) }.sorted { $0.place.lowerBound < $1.place.lowerBound }
    guard let first = held.first else {
      let before = contents.filter { $0.value.upperBound <= generated.lowerBound }.keys.max() ?? -1
      let silent = messages.indices.dropFirst(before + 1).prefix { contents[$0] == nil }
      let speaker =
        silent.first { messages[$0].role == "assistant" } ?? assistants.last { $0 <= before } ?? assistants.first
      return speaker.map { [($0, generated)] } ?? []
    }
    let cuts = held.dropFirst().map(\.place.lowerBound)
    let starts = [generated.lowerBound] + cuts
    return zip([first.turn] + held.dropFirst().map(\.turn), zip(starts, cuts + [generated.upperBound])).map {
      ($0, $1.0..<max($1.0, $1.1))
    }
  }

  /// What of a turn is supervised in templates that do not mark it, and of any turn that is not the assistant's.
  func supervisedSpan(of turn: Int) -> Range<Int>? {
    let content = contents[turn]
    let prompted = messages[turn].role == "assistant" ? start(of: turn, content) : nil
    guard let start = prompted ?? content?.lowerBound else { return nil }
    let limit = limit(of: turn)
    let contentEnd = max(content?.upperBound ?? start, start)
    if let end = endOfFirstToken(contentEnd..<max(limit, contentEnd)) { return start..<end }
    return start..<(content == nil ? max(limit, start) : contentEnd)
  }

  /// The end of the generation prompt of a turn, nil when it is not found.
  ///
  /// It is what the rendering of the messages before, with a generation prompt, has in common with the whole: from the
  /// beginning on, or, in templates that render earlier turns differently as the conversation goes on, from the end of
  /// the content before. A prompt that says more than the turn (`<think>`) ends where they part.
  private func start(of turn: Int, _ content: Range<Int>?) -> Int? {
    guard let prompt = rendered(upTo: turn, addGenerationPrompt: true) else { return nil }
    let contentStart = content?.lowerBound ?? text.count
    let before = turn > 0 ? contents[turn - 1]?.upperBound : 0
    if text.starts(with: prompt.bytes), prompt.bytes.count >= before ?? 0,
      prompt.bytes.count <= content?.upperBound ?? text.count
    {
      return prompt.bytes.count
    }
    guard let history = rendered(upTo: turn, addGenerationPrompt: false) else { return nil }
    if text.starts(with: history.bytes), prompt.bytes.starts(with: history.bytes), history.bytes.count >= before ?? 0 {
      return parting(of: prompt.bytes[history.bytes.count...], at: history.bytes.count, contentStart)
    }
    guard let before, let promptEnd = prompt.end(of: turn - 1), let historyEnd = history.end(of: turn - 1) else {
      return nil
    }
    let tail = history.bytes[historyEnd...]
    guard text[before...].starts(with: tail), prompt.bytes[promptEnd...].starts(with: tail) else { return nil }
    return parting(of: prompt.bytes[(promptEnd + tail.count)...], at: before + tail.count, contentStart)
  }

  /// Where the whole text, from `base` on, parts from a generation prompt: at the content at the latest, and not inside
  /// of a word or tag; nil when they have nothing but white space in common.
  private func parting(of prompt: ArraySlice<UInt8>, at base: Int, _ contentStart: Int) -> Int? {
    guard base <= contentStart else { return nil }
    if prompt.isEmpty { return base }
    let common = zip(prompt, text[base...]).prefix { $0 == $1 }.count
    var end = min(base + common, contentStart)
    if end < contentStart, common < prompt.count {
      while end > base, !Turns.boundaries.contains(text[end - 1]) { end -= 1 }
    }
    return text[base..<end].allSatisfy { Turns.space.contains($0) } ? nil : end
  }

  private static let space = Set(" \t\n\r".utf8)
  /// What a role's header ends with.
  private static let boundaries = Set(" \t\n\r>]|:".utf8)

  /// Where a turn ends at the latest: at the end of the conversation up to it, or where the next content begins.
  private func limit(of turn: Int) -> Int {
    if turn == messages.count - 1 { return text.count }
    if let upToTurn = rendered(upTo: turn + 1, addGenerationPrompt: false), text.starts(with: upToTurn.bytes) {
      return upToTurn.bytes.count
    }
    let end = contents[turn]?.upperBound ?? 0
    return contents.values.map(\.lowerBound).filter { $0 >= end && $0 > 0 }.min() ?? text.count
  }

  /// The rendering of the first messages, nil when the template refuses them.
  private func rendered(upTo count: Int, addGenerationPrompt: Bool) -> Beginning? {
    guard let rendering = try? template.rendering(messages[..<count], addGenerationPrompt: addGenerationPrompt) else {
      return nil
    }
    return Beginning(bytes: Array(rendering.text.utf8), marked: rendering.marked)
  }

  /// What the first messages of the conversation render to.
  private struct Beginning {
    let bytes: [UInt8]
    let marked: [Rendering.Marked]

    /// The end of the content of a message.
    func end(of turn: Int) -> Int? { marked.last { ContentMark($0.mark).message == turn }?.range.upperBound }
  }

  /// The end of the end-of-turn token that begins first in `window`; the longest one that begins there.
  private func endOfFirstToken(_ window: Range<Int>) -> Int? {
    for start in window {
      let rest = text[start..<window.upperBound]
      if let length = endTokens.filter({ rest.starts(with: $0) }).map(\.count).max() { return start + length }
    }
    return nil
  }
}
