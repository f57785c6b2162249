import Foundation

/// A run file that is ready to be used: a way to fine-tune that the field knows by a name.
public enum Recipe: String, CaseIterable, Sendable {
  case demo, projector, llava, qlora
  case llavaLoRA = "llava-lora"
  case twoRates = "two-rates"

  /// What it does, in one line.
  public var summary: String {
    switch self {
    case .demo: "the built-in demo: whole projector and LoRA at once, in a minute"
    case .projector: "only the projector is trained: the first thing to try, and little that can go wrong"
    case .llava: "LLaVA-1.5: align the projector, then train it and the whole language model"
    case .llavaLoRA: "LLaVA-1.5 with LoRA: align the projector, then LoRA r=128 on the language model"
    case .qlora: "QLoRA: the language model's matrices in 4 bits, LoRA on them, and the whole projector"
    case .twoRates: "LoRA on the vision encoder at 2e-4 and on the language model at 5e-4, and the whole projector"
    }
  }

  /// The model and the records that a run file names.
  public struct Paths: Sendable {
    public var model: String
    public var records: String
    public var images: String
    /// Records to validate on, if there are any.
    public var validation: String?

    public init(model: String, records: String, images: String, validation: String? = nil) {
      self.model = model
      self.records = records
      self.images = images
      self.validation = validation
    }

    /// Those of the demo.
    public static let demo = Paths(
      model: "./model", records: "train.jsonl", images: "./images", validation: "held-out.jsonl")
  }

  /// The run file.
  public func text(_ paths: Paths) -> String {
    self == .demo ? runFileText : header(paths) + body + footer
  }

  private func header(_ paths: Paths) -> String {
    let validation = paths.validation.map { "\n  validation: [{path: \(quoted($0)), images: \(quoted(paths.images))}]" }
    return """
      # \(summary)
      # Start it with   mpirun -n 8 mmdist train -c mmdist.yaml   (or without mpirun, on one process).

      model: \(quoted(paths.model))
      output: ./run
      data:
        train: [{path: \(quoted(paths.records)), images: \(quoted(paths.images))}]\(validation ?? "")
        max_length: 2048


      """
  }

  private func quoted(_ path: String) -> String { "'\(path.replacingOccurrences(of: "'", with: "''"))'" }

  private var body: String {
    switch self {
    case .demo: ""
    case .projector:
      """
      train:
        epochs: 1
        global_batch: 256        # pictures and captions at once; the result does not depend on the number of processes
        micro_batch: 4
        parts:
          vision: {train: frozen}
          projector: {train: full, learning_rate: 1.0e-3}
          language: {train: frozen}
        schedule: {name: cosine, warmup_ratio: 0.03}

      """
    case .llava: stages("{train: full, learning_rate: 2.0e-5}")
    case .llavaLoRA:
      stages("{train: lora, learning_rate: 2.0e-4, rank: 128, alpha: 256, dropout: 0.05, targets: all-linear}")
    case .qlora:
      """
      train:
        epochs: 1
        global_batch: 128
        micro_batch: 1
        precision: bfloat16
        recompute: true          # activations of one layer at a time: with 4-bit weights they are most of the memory
        parts:
          vision: {train: frozen}
          projector: {train: full, learning_rate: 2.0e-5}
          language: {train: qlora, learning_rate: 2.0e-4, rank: 64, alpha: 16, dropout: 0.05}
        schedule: {name: constant, warmup_ratio: 0.03}

      """
    case .twoRates:
      """
      train:
        epochs: 1
        global_batch: 128
        micro_batch: 4
        parts:                   # each part at a rate of its own: what is seen changes more slowly than what is said
          vision: {train: lora, learning_rate: 2.0e-4, rank: 16, alpha: 32}
          projector: {train: full, learning_rate: 2.0e-4}
          language: {train: lora, learning_rate: 5.0e-4, rank: 16, alpha: 32}
        schedule: {name: cosine, warmup_ratio: 0.03}

      """
    }
  }

  /// The two stages of LLaVA-1.5 (Liu et al. 2023, arXiv:2310.03744), with their published batches and rates.
  private func stages(_ language: String) -> String {
    """
    train:
      epochs: 1
      micro_batch: 4
      schedule: {name: cosine, warmup_ratio: 0.03}

    stages:                      # one after another in one run; what a stage does not say is said above
      - name: align              # the projector learns to say what the vision encoder sees; captions are enough for that:
        # data: {train: [{path: captions.jsonl, images: ./images}]}
        train:
          global_batch: 256
          parts:
            vision: {train: frozen}
            projector: {train: full, learning_rate: 1.0e-3}
            language: {train: frozen}
      - name: instruct           # then the language model learns the task
        train:
          global_batch: 128
          parts:
            vision: {train: frozen}
            projector: {train: full, learning_rate: 2.0e-5}
            language: \(language)

    """
  }

  private var footer: String {
    """

    checkpoint: {every: 500, keep: 3}
    log: {every: 1, tensorboard: true}

    """
  }
}
