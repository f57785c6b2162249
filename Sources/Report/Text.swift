/// A paragraph of text.
public struct Paragraph: Element {
  public var text: String
  public init(_ text: String) { self.text = text }
  public var html: HTML { "<p>\(text)</p>\n" }
}

/// Text in a fixed pitch, its line ends kept: commands, keys, file contents.
public struct Code: Element {
  public var text: String
  public init(_ text: String) { self.text = text }
  public var html: HTML { "<pre>\(text)</pre>\n" }
}

/// Something that is folded until a reader opens it.
public struct Folded: Element {
  public var summary: String
  public var elements: [any Element]

  public init(_ summary: String, _ elements: [any Element]) { (self.summary, self.elements) = (summary, elements) }

  public var html: HTML {
    "<details><summary>\(summary)</summary>\n\(elements.map(\.html))</details>\n"
  }
}

/// Things side by side, where the page is wide enough.
public struct Columns: Element {
  public var elements: [any Element]
  public init(_ elements: [any Element]) { self.elements = elements }
  public var html: HTML {
    "<div class=\"columns\">\n\(elements.map { element -> HTML in "<div>\(element.html)</div>\n" })</div>\n"
  }
}

/// Text whose parts have different roles: what is trained, what is only read, what stands for pictures, and how much what
/// follows counts.
public struct MarkedText: Element {
  public enum Mark: String, Sendable { case plain, trained, picture, weight }

  public var runs: [(mark: Mark, text: String)]
  public init(_ runs: [(mark: Mark, text: String)]) { self.runs = runs }

  public var html: HTML {
    "<p class=\"marked\">\(runs.map { run -> HTML in "<span class=\"\(run.mark.rawValue)\">\(run.text)</span>" })</p>\n"
  }
}

/// Who says what in a conversation.
public struct Transcript: Element {
  public var turns: [(role: String, text: String)]
  public init(_ turns: [(role: String, text: String)]) { self.turns = turns }

  public var html: HTML {
    let lines = turns.map { turn -> HTML in "<dt>\(turn.role)</dt><dd>\(turn.text)</dd>\n" }
    return "<dl class=\"transcript\">\n\(lines)</dl>\n"
  }
}
