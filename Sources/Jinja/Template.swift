import Ground

/// A Jinja2 template, read once and rendered often, in the environment that transformers gives chat templates:
/// `trim_blocks`, `lstrip_blocks`, an immutable sandbox, `break` and `continue`, `{% generation %}`,
/// `raise_exception`, `strftime_now` and its own `tojson`.
public struct Template: Sendable {
  private let statements: [Statement]
  /// The file that the source came from, for messages.
  public let name: String
  /// Whether `{% generation %}` stands in it.
  public let marksGeneration: Bool

  /// What a rendering may cost, so that no template hangs or exhausts the memory.
  public struct Limits: Sendable {
    /// Expressions, elements and pieces of text gone through.
    public var steps = 10_000_000
    public init() {}
  }

  /// Reads a template.
  /// - Throws: `Fault(.badConfiguration)` with the line that is wrong.
  public init(_ source: String, name: String = "chat template") throws {
    self.name = name
    do {
      statements = try Parser.statements(of: source)
    } catch let problem as SyntaxProblem {
      throw Fault(
        .badConfiguration, "the chat template is not valid: \(problem.message)", at: "\(name):\(problem.line)",
        "correct the template there")
    }
    marksGeneration = Statement.contain(generation: statements)
  }

  /// Runs the template.
  /// - Throws: `Fault(.badData)` with the template's own message when it refuses its input with `raise_exception`,
  ///   `Fault(.badConfiguration)` with the line when it fails.
  public func render(
    _ variables: [(String, Value)], limits: Limits = Limits(), clock: @escaping () -> Moment = { .now }
  ) throws -> Rendering {
    let context = Scope(parent: Scope.globals())
    for (name, value) in variables { context.variables[name] = value }
    let interpreter = Interpreter(variables: context, steps: limits.steps, clock: clock)
    defer { interpreter.tearDown() }
    do {
      _ = try interpreter.run(statements)
      return Rendering(interpreter.output.text)
    } catch let problem as TemplateProblem {
      let place = "\(name):\(interpreter.line)"
      if problem.isRefusal {
        throw Fault(
          .badData, "the chat template refuses the conversation: \(problem.message)", at: place,
          "correct the conversation, or use another template")
      }
      throw Fault(.badConfiguration, "the chat template fails: \(problem.message)", at: place, "correct the template")
    }
  }
}

/// What a template made.
public struct Rendering: Equatable, Sendable {
  public let text: String
  /// What stands inside `{% generation %}`, in UTF-8 offsets: sorted, disjoint, not empty.
  public let generated: [Range<Int>]
  /// Where the marked input strings came out, in UTF-8 offsets and in order; neighbours of one mark are joined.
  public let marked: [Marked]

  /// A piece of output that came from an input string with a mark.
  public struct Marked: Equatable, Sendable {
    public let mark: Int
    public let range: Range<Int>

    public init(mark: Int, range: Range<Int>) {
      self.mark = mark
      self.range = range
    }
  }

  init(_ output: Text) {
    text = output.string
    var generated: [Range<Int>] = []
    var marked: [Marked] = []
    for run in output.runs {
      if run.origin.generated {
        let start = generated.last?.upperBound == run.start ? generated.removeLast().lowerBound : run.start
        generated.append(start..<run.end)
      }
      if let mark = run.origin.mark {
        let joins = marked.last.map { $0.mark == mark && $0.range.upperBound == run.start } ?? false
        let start = joins ? marked.removeLast().range.lowerBound : run.start
        marked.append(Marked(mark: mark, range: start..<run.end))
      }
    }
    self.generated = generated
    self.marked = marked
  }
}

extension Statement {
  /// Whether a `generation` tag stands anywhere among the statements.
  fileprivate static func contain(generation statements: [Statement]) -> Bool {
    statements.contains { statement in
      switch statement.form {
      case .generation: true
      case .branch(let branches, let otherwise):
        branches.contains { contain(generation: $0.body) } || contain(generation: otherwise)
      case .loop(let loop): contain(generation: loop.body) || contain(generation: loop.otherwise)
      case .assignBlock(_, _, let body), .with(_, let body), .filter(_, let body): contain(generation: body)
      case .macro(let macro), .call(_, _, let macro): contain(generation: macro.body)
      default: false
      }
    }
  }
}
