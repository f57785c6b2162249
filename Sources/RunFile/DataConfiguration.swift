import Foundation
import Ground

/// The records to train and validate on, and how they become samples.
public struct DataConfiguration: Equatable, Sendable {
  public var train: [DataSource] = []
  public var validation: [DataSource] = []
  public var maxLength = 2048
  public var packing = true
  public var shuffle = true
  public var sampling: SamplingConfiguration?
  public var balanceWork = false
  public var onError = OnError.stop
  public var problem = Problem.auto
  public var labels: [String] = []
  public var trainOn = TrainOnConfiguration()
  public var boxes = BoxesConfiguration()
  public var augment: AugmentConfiguration?

  /// What labels mean.
  public enum Problem: String, CaseIterable, Sendable {
    case auto
    case singleLabel = "single_label"
    case multiLabel = "multi_label"
    case regression
  }

  /// What is done about a faulty record.
  public enum OnError: String, CaseIterable, Sendable {
    /// The run does not begin.
    case stop
    /// The run goes on without it, and says so.
    case skip
  }

  public init() {}
}

extension DataConfiguration.Problem: RunFileChoice {}
extension DataConfiguration.OnError: RunFileChoice {}

extension DataConfiguration: Section {
  static let keys: [Key<Self>] = [
    Key("train", \.train, "files to train on"),
    Key("validation", \.validation, "files to validate on", affectsTraining: false),
    Key(
      "max_length", \.maxLength, "longest sample, in tokens, image tokens included",
      otherNames: ["max_seq_length", "model_max_length", "cutoff_len", "sequence_len"]),
    Key(
      "packing", \.packing, "samples lie side by side without padding, with or without it",
      otherNames: ["sample_packing"]),
    Key("shuffle", \.shuffle, "a new order each epoch; false: file order"),
    Key("sampling", \.sampling, "how often records of each group come; null: all alike"),
    Key(
      "balance_work", \.balanceWork, "deals the samples of a batch so that ranks have equal work",
      otherNames: ["group_by_length", "group_by_modality_length"]),
    Key("on_error", \.onError, "faulty records; skip: trained without them, they are listed in skipped.jsonl"),
    Key(
      "problem", \.problem, "what labels mean; auto: as the model or the labels say",
      otherNames: ["problem_type"]),
    Key("labels", \.labels, "names of labels by number; none: the model's own, or those in the data, sorted"),
    Key(
      "train_on", \.trainOn, "which turns of conversations are trained, where a turn does not say so itself",
      otherNames: ["train_on_inputs", "train_on_prompt", "train_on_responses_only"]),
    Key("boxes", \.boxes, "how regions of pictures are written"),
    Key("augment", \.augment, "how pictures are changed each time they are trained on; null: not at all"),
  ]

  func validate(at key: String) throws {
    try require(!train.isEmpty, key + "train", "has no file", "name one, as in train: [{path: train.jsonl}]")
    for (index, source) in train.enumerated() { try source.validate(at: "\(key)train.\(index).") }
    for (index, source) in validation.enumerated() { try source.validate(at: "\(key)validation.\(index).") }
    try require(
      train.contains { $0.weight > 0 }, key + "train", "has only sources of weight 0", "give one a weight above 0")
    try require(
      Set(labels).count == labels.count && !labels.contains(""), key + "labels", "has a name twice or an empty one",
      "correct the names")
    try trainOn.validate(at: key + "train_on.")
    try boxes.validate(at: key + "boxes.")
    try augment?.validate(at: key + "augment.")
    try sampling?.validate(at: key + "sampling.")
    try require(
      sampling == nil || shuffle, key + "sampling", "has no meaning in file order", "leave it out, or set shuffle: true"
    )
    try require(maxLength >= 2, key + "max_length", "is \(maxLength)", "give at least 2 tokens")
  }
}

/// One file of records, and the folder of its images.
public struct DataSource: Equatable, Sendable {
  public var path = ""
  public var images = ""
  public var dataset: String?
  public var format = RecordFormat.auto
  public var weight = 1.0
  public var text = "text"
  public var textPair: String?
  public var label = "label"
  public var image = "image"

  public init() {}
  public init(path: String, images: String) {
    self.path = path
    self.images = images
  }
}

extension DataSource: Section {
  static let keys: [Key<Self>] = [
    Key("path", path: \.path, "file of records, a pattern for several, or a folder of pictures"),
    Key(
      "images", path: \.images, "folder that image names start from; default: that of the file",
      otherNames: ["image_folder", "image_dir", "media_dir"]),
    Key("dataset", \.dataset, "data set of a dataset_info.json, where 'path' is one"),
    Key("format", \.format, "layout; auto: by keys"),
    Key("weight", \.weight, "how often its records come, beside other files"),
    Key("text", \.text, "column of the text, with format classification or pairs"),
    Key("text_pair", \.textPair, "column of a second text, read together with the first"),
    Key("label", \.label, "column of the label: a name, a number, or a list of several"),
    Key("image", \.image, "column of the picture, for a head on a model that sees"),
  ]

  /// The columns of labelled records are written where they are not as usual: most files hold none.
  var written: Written {
    let (columns, standard): (Set, _) = (["text", "text_pair", "label", "image", "dataset"], DataSource())
    return .section(
      DataSource.keys.filter { !columns.contains($0.name) || $0.written(self) != $0.written(standard) }.map { key in
        Written.Line(
          name: key.name, meaning: key.meaning, affectsTraining: key.affectsTraining, value: key.written(self))
      })
  }

  mutating func settle(given: Set<String>) {
    guard images.isEmpty, !path.isEmpty else { return }
    // Of an image folder, which holds pictures and what is said of them, it is the folder itself.
    images = FileManager.default.fileExists(atPath: path + "/.") ? path : parentFolder(of: path)
  }

  func validate(at key: String) throws {
    try require(!path.isEmpty, key + "path", "is missing", "name a file of records")
    try require(
      !text.isEmpty && textPair != "" && !label.isEmpty && !image.isEmpty, key + "text",
      "or another column has an empty name",
      "name columns of the file")
    try require(weight.isFinite && weight >= 0, key + "weight", "is \(weight)", "give a number of 0 or more")
    try require(dataset != "", key + "dataset", "is empty", "name a data set of the dataset_info.json")
  }
}

/// How a record is written in a file.
public enum RecordFormat: String, CaseIterable, Sendable {
  case auto, llava, sharegpt, messages, completion, preference, alpaca, pairs, classification
}

extension RecordFormat: RunFileChoice {}
