import Foundation

/// The records to train and validate on, and how they become samples.
public struct DataConfiguration: Equatable, Sendable {
  public var train: [DataSource] = []
  public var validation: [DataSource] = []
  public var maxLength = 2048
  public var packing = true
  public var shuffle = true

  public init() {}
}

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
  ]

  func validate(at key: String) throws {
    try require(!train.isEmpty, key + "train", "has no file", "name one, as in train: [{path: train.jsonl}]")
    for (index, source) in train.enumerated() { try source.validate(at: "\(key)train.\(index).") }
    for (index, source) in validation.enumerated() { try source.validate(at: "\(key)validation.\(index).") }
    try require(
      train.contains { $0.weight > 0 }, key + "train", "has only sources of weight 0", "give one a weight above 0")
    try require(maxLength >= 2, key + "max_length", "is \(maxLength)", "give at least 2 tokens")
  }
}

/// One file of records, and the folder of its images.
public struct DataSource: Equatable, Sendable {
  public var path = ""
  public var images = ""
  public var format = RecordFormat.auto
  public var weight = 1.0

  public init() {}
  public init(path: String, images: String) {
    self.path = path
    self.images = images
  }
}

extension DataSource: Section {
  static let keys: [Key<Self>] = [
    Key("path", path: \.path, "JSON or JSON Lines file of records"),
    Key(
      "images", path: \.images, "folder that image names start from; default: that of the file",
      otherNames: ["image_folder", "image_dir", "media_dir"]),
    Key("format", \.format, "how the records are written; auto: by their keys"),
    Key("weight", \.weight, "how often its records come, beside other files"),
  ]

  mutating func settle(given: Set<String>) {
    if images.isEmpty, !path.isEmpty { images = (path as NSString).deletingLastPathComponent }
  }

  func validate(at key: String) throws {
    try require(!path.isEmpty, key + "path", "is missing", "name a file of records")
    try require(weight.isFinite && weight >= 0, key + "weight", "is \(weight)", "give a number of 0 or more")
    try refuse(
      !RecordFormat.runnable.contains(format), key + "format", format.rawValue, instead: "convert to LLaVA JSON")
  }
}

/// How a record is written in a file.
public enum RecordFormat: String, CaseIterable, Sendable {
  case auto, llava, messages, sharegpt, pairs, webdataset

  static let runnable: Set<RecordFormat> = [.auto, .llava, .messages]
}

extension RecordFormat: RunFileChoice {}
