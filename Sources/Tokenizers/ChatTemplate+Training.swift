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
  /// `endTokens` are the texts of special tokens; those that follow the content of a turn, and belong to it, end it.
  /// Where there are none, the content does.
  /// - Parameter trained: the numbers of the messages that are supervised; nil: those of the assistant.
  /// - Throws: as ``render(_:tools:addGenerationPrompt:)``.
  public func renderForTraining(
    _ messages: [ChatMessage], tools: [JSON] = [], endTokens: Set<String>, trained: Set<Int>? = nil
  ) throws -> TrainingText {
    let values = try values(of: messages)
    let whole = try rendering(values, tools: tools, addGenerationPrompt: false)
    try check(whole, shows: messages, tools)
    let tokens = endTokens.filter { !$0.isEmpty }.map { Array($0.utf8) }
    let turns = Turns(self, messages, values, tools, whole, tokens)
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
      guard case .named(let name) = ContentMark(piece.mark).part else { continue }
      places[name] = (places[name]?.lowerBound ?? piece.range.lowerBound)..<piece.range.upperBound
    }
    return places
  }
}

/// Where the turns of a conversation stand in its rendering. Offsets count UTF-8 bytes.
private struct Turns {
  private let template: ChatTemplate
  private let messages: [ChatMessage]
  private let values: [Value]
  private let tools: [JSON]
  private let text: [UInt8]
  /// Where the content of each message came out, from its first byte to its last.
  private var contents: [Int: Range<Int>] = [:]
  private let endTokens: [[UInt8]]
  private let beginnings = Beginnings()

  init(
    _ template: ChatTemplate, _ messages: [ChatMessage], _ values: [Value], _ tools: [JSON], _ whole: Rendering,
    _ endTokens: [[UInt8]]
  ) {
    self.template = template
    self.messages = messages
    self.values = values
    self.tools = tools
    self.endTokens = endTokens
    text = Array(whole.text.utf8)
    var pieces: [Int: [Range<Int>]] = [:]
    for piece in whole.marked {
      if let message = ContentMark(piece.mark).owner { pieces[message, default: []].append(piece.range) }
    }
    for (message, own) in pieces {
      var own = own[...]
      // The name of a function is said again with its result, which is not part of the call.
      if !messages[message].extras.calls.isEmpty, message < messages.count - 1,
        let part = rendered(upTo: message + 1, addGenerationPrompt: false)
      {
        own = own.prefix(max(part.pieces(of: message), 1))
      }
      if let first = own.first, let last = own.last { contents[message] = first.lowerBound..<last.upperBound }
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
    return start..<max(start, end(of: turn, from: max(content?.upperBound ?? start, start)))
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

  /// Where a turn ends whose content ends at `content`.
  ///
  /// What belongs to it stands behind the content in the rendering up to this turn, too. There the first end token ends
  /// it, with those that follow at once; a turn that calls tools goes on to the token that ends ordinary ones, else to
  /// its last token, or takes all that is its own. Some templates leave the end out of the last turn alone: then it is
  /// what the whole has in common with the rendering up to this turn and the beginning of the next.
  private func end(of turn: Int, from content: Int) -> Int {
    let own = turn == messages.count - 1 ? content..<text.count : common(upTo: turn + 1, prompt: false, from: content)
    if let own {
      if !messages[turn].extras.calls.isEmpty,
        let end = ordinaryEnd.flatMap({ firstToken([$0], in: own) }) ?? lastToken(in: own)
      {
        return end.upperBound
      }
      if var token = firstToken(endTokens, in: own) {
        while let next = longest(of: endTokens, in: token.upperBound..<own.upperBound), !opens(next) { token = next }
        return token.upperBound
      }
      if turn < messages.count - 1, messages[turn + 1].role != "assistant",
        let shared = common(upTo: turn + 1, prompt: true, from: content),
        let token = firstToken(endTokens, in: shared), !opens(token)
      {
        return token.upperBound
      }
      if !messages[turn].extras.calls.isEmpty {
        return content + text[content..<own.upperBound].reversed().drop { Turns.space.contains($0) }.count
      }
      return contents[turn] == nil ? own.upperBound : content
    }
    let limit = contents.values.map(\.lowerBound).filter { $0 >= content && $0 > 0 }.min() ?? text.count
    return firstToken(endTokens, in: content..<max(limit, content))?.upperBound ?? content
  }

  /// Whether a token is one of those with which the conversation begins: it begins a turn, and ends none.
  private func opens(_ token: Range<Int>) -> Bool {
    var at = text.prefix { Turns.space.contains($0) }.count
    while let first = longest(of: endTokens, in: at..<text.count) {
      if text[first] == text[token] { return true }
      at = first.upperBound
    }
    return false
  }

  /// What the whole text, from the end of a turn's content on, has in common with the rendering of the messages through
  /// that turn; nil when the template refuses it, or the content is not seen there.
  private func common(upTo count: Int, prompt: Bool, from content: Int) -> Range<Int>? {
    guard let part = rendered(upTo: count, addGenerationPrompt: prompt) else { return nil }
    let isBeginning = part.bytes.count >= content && text.starts(with: part.bytes.prefix(content))
    guard let end = part.end(of: count - 1) ?? (isBeginning ? content : nil) else { return nil }
    return content..<content + zip(part.bytes[end...], text[content...]).prefix { $0 == $1 }.count
  }

  /// The rendering of the first messages, nil when the template refuses them.
  private func rendered(upTo count: Int, addGenerationPrompt: Bool) -> Beginning? {
    beginnings.find(count, addGenerationPrompt) {
      guard
        let rendering = try? template.rendering(
          Array(values[..<count]), tools: tools, addGenerationPrompt: addGenerationPrompt)
      else { return nil }
      return Beginning(bytes: Array(rendering.text.utf8), marked: rendering.marked)
    }
  }

  /// Several turns, and several questions about one, ask for the same rendering: it is kept while there is room.
  private final class Beginnings {
    private struct Key: Hashable {
      let count: Int
      let hasPrompt: Bool
    }

    private static let mostBytes = 16 << 20
    private var known: [Key: Beginning?] = [:]
    private var byteCount = 0

    func find(_ count: Int, _ hasPrompt: Bool, make: () -> Beginning?) -> Beginning? {
      let key = Key(count: count, hasPrompt: hasPrompt)
      if let own = known[key] { return own }
      let own = make()
      byteCount += own.map { $0.bytes.count + $0.marked.count * MemoryLayout<Rendering.Marked>.stride } ?? 0
      if byteCount <= Beginnings.mostBytes { known.updateValue(own, forKey: key) }
      return own
    }
  }

  /// What the first messages of the conversation render to.
  private struct Beginning {
    let bytes: [UInt8]
    let marked: [Rendering.Marked]

    /// In how many pieces a message came out.
    func pieces(of turn: Int) -> Int { marked.count { ContentMark($0.mark).owner == turn } }

    /// The end of the content of a message.
    func end(of turn: Int) -> Int? { marked.last { ContentMark($0.mark).owner == turn }?.range.upperBound }
  }

  /// The last end token of a turn without calls.
  private var ordinaryEnd: [UInt8]? {
    let talk = [ChatMessage(role: "user", text: "a"), ChatMessage(role: "assistant", text: "b")]
    guard let values = try? template.values(of: talk),
      let rendering = try? template.rendering(values, tools: tools, addGenerationPrompt: false)
    else { return nil }
    let turns = Turns(template, talk, values, tools, rendering, endTokens)
    guard let end = turns.contents[1].map({ turns.end(of: 1, from: $0.upperBound) }) else { return nil }
    return endTokens.filter { turns.text.prefix(end).suffix($0.count).elementsEqual($0) }.max { $0.count < $1.count }
  }

  /// The token that begins first in `window`; the longest one that begins there.
  private func firstToken(_ tokens: [[UInt8]], in window: Range<Int>) -> Range<Int>? {
    window.lazy.compactMap { longest(of: tokens, in: $0..<window.upperBound) }.first
  }

  /// The last token in `window` that opens nothing.
  private func lastToken(in window: Range<Int>) -> Range<Int>? {
    var last: Range<Int>?
    var start = window.lowerBound
    while let token = firstToken(endTokens, in: start..<window.upperBound) {
      if !opens(token) { last = token }
      start = token.upperBound
    }
    return last
  }

  /// The longest token with which `window` begins.
  private func longest(of tokens: [[UInt8]], in window: Range<Int>) -> Range<Int>? {
    let length = tokens.filter { text[window].starts(with: $0) }.map(\.count).max()
    return length.map { window.lowerBound..<window.lowerBound + $0 }
  }
}
