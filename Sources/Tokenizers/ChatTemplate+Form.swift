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

  /// The form in which a text comes out of the template as itself, not as the print of a list.
  private func form(
    of role: String, before: [(String, ContentForm)], after: [(String, ContentForm)] = [], preferred: ContentForm,
    needsImage: Bool
  ) -> ContentForm {
    func probe(_ form: ContentForm, _ content: [ChatMessage.Part]) -> String? {
      var messages: [ChatMessage] = []
      var forms: [ContentForm] = []
      for (role, form) in before {
        messages.append(ChatMessage(role: role, text: "before"))
        forms.append(form)
      }
      let mark = messages.count
      messages.append(ChatMessage(role: role, content: content))
      forms.append(form)
      for (role, form) in after {
        messages.append(ChatMessage(role: role, text: "after"))
        forms.append(form)
      }
      let values = try? zip(messages, forms).enumerated().map { index, pair in
        try value(of: pair.0, mark: index, form: pair.1)
      }
      guard let values, let rendering = try? rendering(values, addGenerationPrompt: false) else { return nil }
      return rendering.marked.contains { $0.mark == mark } ? rendering.text : nil
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
