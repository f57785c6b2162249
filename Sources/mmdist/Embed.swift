import Adapters
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

struct Embed: ParallelCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes embeddings of a data set: of pictures, texts or conversations.",
    discussion: """
      Every rank takes a share of the records; the files have the same bytes on
      any number of ranks.

      --part vision     each picture, as the vision encoder sees it
      --part projector  each picture, as the language model gets it
      --part language   each record: a conversation with its pictures, or a text
                        (column --text)

      --layer N  as transformers numbers hidden_states: 0 goes into the first
                 layer, -1 comes out of the last (default). Without it,
                 --part vision gives what the projector gets.
      --pool     mean of all tokens or patches; cls: the first token, of BERT
                 and CLIP; last: the last token, of decoders; none: one row for
                 each token

      DIR/embeddings.npy is [rows, width] in float32; offsets.npy says where the
      rows of each item begin, records.npy which record (from 0, in file order)
      each item is of. DIR/embeddings.safetensors holds the same three.

        mmdist embed --model bert --data texts.csv --pool cls --output out
        mpirun -n 8 mmdist embed --model llava --data train.jsonl \\
          --images images --part vision --pool mean --output out
      """)

  @Option(help: ArgumentHelp("Hugging Face model directory.", valueName: "DIR")) var model: String
  @Option(help: ArgumentHelp("PEFT adapter.", valueName: "DIR")) var adapter: String?
  @Option(help: ArgumentHelp("Conversations, texts, or pictures with captions.", valueName: "FILE")) var data: String
  @Option(help: ArgumentHelp("Folder of its images; default: the file's own.", valueName: "DIR")) var images: String?
  @Option(help: ArgumentHelp("Column of the text, in files of texts.", valueName: "COLUMN")) var text = "text"
  @Option(help: ArgumentHelp("Column of a second text, read with the first.", valueName: "COLUMN")) var textPair:
    String?
  @Option(help: ArgumentHelp("What is embedded: vision, projector or language.", valueName: "PART")) var part =
    "language"
  @Option(parsing: .unconditional, help: ArgumentHelp("Which layer; default -1, the last.", valueName: "N")) var layer:
    Int?
  @Option(help: ArgumentHelp("mean, cls, last or none.", valueName: "POOL")) var pool = "mean"
  @Option(help: ArgumentHelp("Texts are cut to this many tokens; conversations are never cut.", valueName: "N"))
  var maxLength: Int?
  @Option(help: "float32 or bfloat16.") var precision = "float32"
  @Option(
    name: .customLong("on-error"),
    help: ArgumentHelp("stop, or skip: faulty records are left out, DIR/skipped.jsonl lists them.", valueName: "WHAT"))
  var onError = "stop"
  @Option(help: ArgumentHelp("A folder; it is made where it is missing.", valueName: "DIR")) var output: String

  func validate() throws {
    guard EmbeddingRequest.Part(rawValue: part) != nil else {
      throw ValidationError("--part \(part) is not known; use vision, projector or language")
    }
    guard EmbeddingRequest.Pool(rawValue: pool) != nil else {
      throw ValidationError("--pool \(pool) is not known; use mean, cls, last or none")
    }
    guard ["float32", "bfloat16"].contains(precision) else {
      throw ValidationError("--precision is float32 or bfloat16")
    }
    guard ["stop", "skip"].contains(onError) else { throw ValidationError("--on-error is stop or skip") }
    if let maxLength, maxLength < 1 { throw ValidationError("--max-length is \(maxLength); give 1 or more") }
  }

  func run() throws {
    try withWorld { communicator in
      let backend = try CPUBackend(threads: ThreadCount(communicator).threads)
      let cache = CacheFolder.standard()
      let weights = SharedWeights(in: cache, communicator, backend) { note in
        if note.hasPrefix("warning:") { writeToStandardError("mmdist: \(note)\n") } else { printLine(note) }
      }
      let adapted = try LoadedModel(
        ModelFolder(model), adapter: adapter, precision: precision == "bfloat16" ? .bfloat16 : .float32,
        converted: weights.callAsFunction, backend
      ).adapted
      try adapted.requireSameWeights(as: communicator, at: adapter, backend)
      let request = EmbeddingRequest(
        part: EmbeddingRequest.Part(rawValue: part) ?? .language, layer: layer,
        pool: EmbeddingRequest.Pool(rawValue: pool) ?? .mean)
      let embedder = try Embedder(adapted.model, request, backend)
      let file = try DataFile(data)
      try communicator.agree(onRecords: [file.mark])
      let records = try EmbeddedRecords(
        file, LabelColumns(text: text, pair: textPair, label: nil),
        images: images ?? (isFolder(data) ? data : parentFolder(of: data)), adapted, request.part, maxLength: maxLength)

      let skipped = SkippedRecords(
        faults: try faultyRecords(
          records, onError == "skip" ? .skip : .stop, communicator, threads: ThreadCount(communicator).threads),
        count: records.count)
      _ = try KeptSamples(records, without: skipped.faults)  // which says so where none is left
      let left = Set(skipped.faults.map(\.index))
      skipped.tell(communicator, listedIn: "\(output)/\(SkippedFile.name)")
      let files = try communicator.agreeOnSuccess { try EmbeddingFiles(output, width: embedder.width, communicator) }
      let mine = share(of: records.count, rank: communicator.rank, of: communicator.count)
      try communicator.agreeOnSuccess {
        for index in mine where !left.contains(index) {
          for rows in try embedder.rows(records.sample(index)) { try files.append(rows, record: index, backend) }
        }
      }
      let size = try files.finish(metadata: metadata(embedder))
      if communicator.rank == 0, onError == "skip" {
        try writeDurably(SkippedFile.lines(skipped.faults), to: "\(output)/\(SkippedFile.name)")
      }
      say(
        communicator,
        "wrote \(output): \(size.items) \(request.part == .language ? "records" : "pictures"), \(size.rows) rows of "
          + "\(embedder.width)"
      )
      return 0
    }
  }

  private func metadata(_ embedder: Embedder) -> [String: String] {
    ["part": part, "pool": pool, "layer": embedder.depth.map(String.init) ?? "features", "format": "np"]
  }
}

/// The records of a file as samples to be embedded: texts, or conversations, of which nothing has to be supervised.
struct EmbeddedRecords: SampleSource {
  let counts: [Int]
  private let make: @Sendable (Int) throws -> Sample

  func sample(_ index: Int) throws -> Sample { try make(index) }
  func faults(in range: Range<Int>, most: Int, threads: Int) -> [RecordFault] {
    range.lazy.compactMap { index in
      do {
        _ = try make(index)
        return nil
      } catch {
        return RecordFault(
          index: index, fault: error as? Fault ?? Fault(.internalError, "\(error)", "report this"))
      }
    }.prefix(most).map { $0 }
  }

  init(
    _ file: DataFile, _ columns: LabelColumns, images: String, _ adapted: AdaptedModel, _ part: EmbeddingRequest.Part,
    maxLength: Int?
  ) throws {
    let (model, folder) = (adapted.model, adapted.folder)
    let longest = min(maxLength ?? .max, model.longestSequence ?? .max)
    if model.dual != nil {
      let processor = try PairProcessor(folder, model, maxLength: longest)
      let pairs = try PairSource(file, images: images, text: columns.text ?? "text")
      counts = [pairs.count]
      make = { try processor.sample(pairs.record($0, index: $0), caption: 0) }
      return
    }
    guard file.looksLabelled(columns) else {
      let records = try RecordSource(file, images: images, format: "auto")
      let processor = try ModelInputs(folder, model, maxLength: longest).processor
      counts = [records.count]
      make = { try processor.unsupervised(records.record($0), withText: part == .language) }
      return
    }
    guard part == .language else {
      throw Fault(.usage, "the file holds texts and no pictures", at: file.path, "use --part language")
    }
    let texts = LabelledSet([try LabelledSource(file, columns)])
    let tokenizer = try Tokenizer(modelFolder: folder.path)
    try requireRoom(for: tokenizer, in: model, at: folder.path)
    let reader = TextReader(tokenizer, maxLength: longest, hasTypes: model.language.typeCount > 0)
    counts = [texts.count]
    make = { try Sample(unlabelled: texts.record($0), reader) }
  }
}
