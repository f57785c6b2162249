import ArgumentParser
import Batching
import Datasets
import Evaluation
import Foundation
import Ground
import Models
import Parallel
import RunFile
import Tensors
import Tokenizers
import Training

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what the model says now.",
    discussion: """
      Standard output is the new text alone. A prompt without <image> gets one per --image in front, "<image>\\n".
      """)

  @Option(help: ArgumentHelp("Hugging Face model directory.", valueName: "DIR")) var model: String
  @Option(help: ArgumentHelp("PEFT adapter.", valueName: "DIR")) var adapter: String?
  @Option(
    help: ArgumentHelp(
      "Which of the folder's bottleneck adapters are at work; default: all.", valueName: "NAME,…"))
  var active: String?
  @Option(
    name: .customLong("image"), parsing: .upToNextOption,
    help: ArgumentHelp("Picture; may be given several times.", valueName: "F"))
  var images: [String] = []
  @Option(help: "What the user says.") var prompt: String
  @Option(help: ArgumentHelp("What the system says first.", valueName: "text")) var system: String?
  @Option(help: ArgumentHelp("The most tokens to write.", valueName: "N")) var maxNewTokens = 256
  @Option(help: "0: always the most likely token.") var temperature = 0.0
  @Option(help: "Sample among the most likely tokens that make up this share.") var topP = 1.0
  @Option(help: "Of the draw.") var seed: UInt64 = 0
  @Option(help: "float32 or bfloat16.") var precision = "float32"
  @Option(help: ArgumentHelp("A JSON schema that the text is held to.", valueName: "FILE")) var jsonSchema: String?
  @Option(
    help: ArgumentHelp(
      "nf4: keep the language model's matrices as 4-bit codes, as quantize does in the run file.", valueName: "nf4"))
  var quantize: String?
  @Flag(help: "Write the text as it comes.") var stream = false

  func validate() throws {
    try checkNewTokens(maxNewTokens)
    guard temperature >= 0, topP > 0, topP <= 1 else {
      throw ValidationError("give --temperature ≥ 0 and --top-p in (0, 1]")
    }
    guard ["float32", "bfloat16"].contains(precision) else {
      throw ValidationError("--precision is float32 or bfloat16")
    }
    guard quantize == nil || quantize == "nf4" else { throw ValidationError("--quantize is nf4, or left out") }
  }

  func run() throws {
    let communicator = SingleProcess()
    let backend = try CPUBackend(threads: ThreadCount(communicator).threads)
    // Standard output is for the new text alone.
    let weights = SharedWeights(
      in: CacheFolder.standard(), communicator, backend
    ) { note in
      if note.hasPrefix("warning:") { writeToStandardError("mmdist: \(note)\n") }
    }
    let adapted = try LoadedModel(
      ModelFolder(model), adapter: adapter, quantised: quantize == nil ? [] : [.language],
      precision: precision == "bfloat16" ? .bfloat16 : .float32, converted: weights.callAsFunction, backend
    ).adapted
    if let active { try adapted.activate(names(in: active)) }
    let inputs = try ModelInputs(adapted.folder, adapted.model, maxLength: .max)
    let tags = prompt.components(separatedBy: Record.imageTag).count - 1
    guard tags == 0 || tags == images.count else {
      throw Fault(.usage, "\(tags) <image> in the prompt, \(images.count) --image", "give one --image for each <image>")
    }
    let front = tags == 0 ? String(repeating: Record.imageTag + "\n", count: images.count) : ""
    let turns = (system.map { [Turn(.system, $0)] } ?? []) + [Turn(.user, front + prompt)]
    let sample = try inputs.processor.prompt(turns, images: images.map(ImageLocation.file))

    let ends = try endTokens(modelFolder: model, inputs.tokenizer, inputs.template)
    let grammar = try jsonSchema.map {
      try JSONGrammar(AnswerSchema(JSON(contentsOf: $0), at: $0), inputs.tokenizer, endTokens: ends)
    }
    let generator = TextGenerator(adapted.model, endTokens: ends, backend)
    var text = TextStream(inputs.tokenizer, skipSpecialTokens: true)
    var whole = ""
    func write(_ piece: String) {
      if stream { say(piece, on: STDOUT_FILENO) } else { whole += piece }
    }
    var left = [sample]
    var isWhole = true
    try generator.generate(
      from: { left.popLast() }, count: maxNewTokens,
      sampling: Sampling(temperature: temperature, topP: topP, seed: seed),
      choices: grammar.map { grammar in { grammar.begin() } }, onToken: { write(text.append($1)) },
      onEnd: { isWhole = $1.ending == .finished })
    write(text.finish())
    write("\n")
    try Array(whole.utf8).withUnsafeBytes { try writeAll($0, to: STDOUT_FILENO, path: "standard output") }
    if grammar != nil, !isWhole {
      throw Fault(
        .badData, "the JSON text is not whole after \(maxNewTokens) tokens", at: "--max-new-tokens",
        "raise it, or bound the schema's texts and lists (maxLength, maxItems)")
    }
  }
}

/// The names in a list separated by commas.
func names(in list: String) -> [String] {
  list.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
}
