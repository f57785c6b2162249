import Jinja

/// Finding out which form of content a template wants, by looking at what becomes of a marked text.
extension ChatTemplate {
  func findForms() -> [String: ContentForm] {
    let user = form(of: "user", before: [], preferred: .parts, needsImage: true)
    return [
      "user": user,
      "assistant": form(of: "assistant", before: [("user", user)], preferred: user, needsImage: false),
      "system": form(of: "system", before: [], after: [("user", user)], preferred: user, needsImage: false),
    ]
  }

  /// The form in which the result of a tool comes out.
  func findResultForm() -> ContentForm {
    let calling = ChatMessage(role: "assistant", content: [], extras: .probe)
    let before = [(ChatMessage(role: "user", text: "before"), forms["user"] ?? .string), (calling, .string)]
    return form(of: "tool", extras: .probeResult, before: before, preferred: .string, needsImage: false)
  }

  private func form(
    of role: String, before: [(String, ContentForm)], after: [(String, ContentForm)] = [], preferred: ContentForm,
    needsImage: Bool
  ) -> ContentForm {
    func talk(_ turns: [(String, ContentForm)], _ text: String) -> [(ChatMessage, ContentForm)] {
      turns.map { (ChatMessage(role: $0.0, text: text), $0.1) }
    }
    return form(
      of: role, before: talk(before, "before"), after: talk(after, "after"), preferred: preferred,
      needsImage: needsImage)
  }

  /// The form in which a text comes out of the template as itself, not as the print of a list.
  private func form(
    of role: String, extras: ChatMessage.Extras = .init(), before: [(ChatMessage, ContentForm)],
    after: [(ChatMessage, ContentForm)] = [], preferred: ContentForm, needsImage: Bool
  ) -> ContentForm {
    func probe(_ form: ContentForm, _ content: [ChatMessage.Part]) -> String? {
      let message = ChatMessage(role: role, content: content, extras: extras)
      let all = before + [(message, form)] + after
      let values = try? all.enumerated().map { index, pair in try value(of: pair.0, mark: index, form: pair.1) }
      guard let values, let rendering = try? rendering(values, addGenerationPrompt: false) else { return nil }
      guard let seen = rendering.marked.first(where: { $0.mark == before.count }) else { return nil }
      let ahead = String(decoding: rendering.text.utf8.prefix(seen.range.lowerBound), as: UTF8.self)
      return ["\"text\": \"", "\"text\":\""].contains(where: ahead.hasSuffix) ? nil : rendering.text
    }

    let text = ChatMessage.Part.text("probe")
    let withParts = probe(.parts, [text])
    let showsImages = withParts != nil && probe(.parts, [.image, text]).map { $0 != withParts } ?? false
    let withString = probe(.string, [text])
    if withString == nil { return withParts == nil ? preferred == .parts && needsImage ? .string : preferred : .parts }
    if withParts == nil || needsImage && !showsImages { return .string }
    return preferred
  }
}
