import Batching
import Datasets
import Ground
import Models
import Parallel
import RunFile
import Tokenizers

/// The data of a run, and the model as they ask for it: with a classifier for records with labels.
public struct RunData {
  /// The training data of each stage.
  public let stages: [OpenData]
  public let folder: ModelFolder
  /// Of records with labels.
  public let labels: LabelSet?

  /// Opens the training data of a run file, which all ranks must see alike; they share the look at the labels.
  public init(_ configuration: RunConfiguration, _ communicator: any Communicator) throws {
    let folder = try ModelFolder(configuration.model)
    let rows = configuration.runStages
    stages = try rows.map { row in
      try OpenData(
        row.data.train, areForDual: folder.isDual,
        at: row.name.isEmpty ? "data.train" : "data.train of stage '\(row.name)'",
        reading: configuration.labelContent(for: folder), cache: configuration.cacheFolder)
    }
    for stage in stages { try stage.requireSame(on: communicator) }
    let labelled = stages.compactMap { if case .labelled(let records) = $0 { records } else { nil } }
    guard !labelled.isEmpty else {
      guard configuration.head == nil else {
        throw Fault(
          .badConfiguration, "the data have no labels, and a head gives labels to texts or pictures", at: "head",
          "train on records with labels (format: classification)")
      }
      (self.folder, labels) = (folder, nil)
      return
    }
    guard labelled.count == stages.count, rows.allSatisfy({ $0.data.asksTheSameLabels(as: rows[0].data) }) else {
      throw Fault(
        .badConfiguration, "one stage trains on records with labels, another on something else", at: "stages",
        "give all stages data of one kind, and the same data.problem and data.labels")
    }
    let labels = try LabelSet(rows[0].data, labelled, configuration.head == nil ? folder : nil, communicator)
    self.labels = labels
    self.folder = try configuration.folder(for: labels)
  }

  /// A model for data whose labels are known.
  public init(_ folder: ModelFolder, labels: LabelSet?) {
    (stages, self.folder, self.labels) = ([], folder, labels)
  }

  /// What makes samples of conversations; nil for other records.
  /// - Parameter isTraining: whether pictures may be changed as the run file asks for.
  public func inputs(
    of open: OpenData, _ model: MultimodalModel, _ data: DataConfiguration, isTraining: Bool = false
  ) throws -> ModelInputs? {
    guard case .conversations = open else {
      guard data.augment == nil else {
        throw Fault(
          .badConfiguration, "the data are no conversations, and 'data.augment' changes their pictures",
          at: "data.augment", "leave it out")
      }
      return nil
    }
    var inputs = try ModelInputs(folder, model, data)
    if isTraining { inputs.processor.augmentation = data.augment?.rule }
    return inputs
  }

  /// - Parameters:
  ///   - inputs: as ``inputs(of:_:_:)`` gave them.
  ///   - decodes: whether a look for faults decodes every picture.
  public func samples(
    of open: OpenData, _ model: MultimodalModel, _ inputs: ModelInputs?, maxLength: Int, decodes: Bool = false
  ) throws -> any SampleSource {
    switch open {
    case .conversations(let records):
      guard let inputs else { preconditionFailure("samples: conversations need their inputs") }
      return ConversationSamples(records, inputs.processor, decodes: decodes)
    case .pairs(let records):
      return PairSamples(records, try PairProcessor(folder, model, maxLength: maxLength), decodes: decodes)
    case .labelled(let records):
      guard let labels, let classifier = model.classifier else {
        preconditionFailure("samples: records with labels need a classifier")
      }
      return LabelledSamples(
        records, labels, try reader(for: classifier, of: model, maxLength: maxLength), decodes: decodes)
    }
  }

  /// What of labelled records a classifier is to see.
  private func reader(
    for classifier: SequenceClassifier, of model: MultimodalModel, maxLength: Int
  ) throws -> any LabelledReader {
    if let eyes = model.eyes {
      guard classifier.frozen?.part == .language else {
        return PictureReader(try imageProcessor(of: folder, for: eyes), rows: eyes.rowsPerImage)
      }
      return PromptReader(try ModelInputs(folder, model, maxLength: maxLength).processor)
    }
    let tokenizer = try Tokenizer(modelFolder: folder.path)
    try requireRoom(for: tokenizer, in: model, at: folder.path)
    return TextReader(
      tokenizer, maxLength: min(maxLength, model.longestSequence ?? .max), hasTypes: model.language.typeCount > 0,
      reads: classifier.reading.position)
  }
}

extension RunConfiguration {
  /// The model as records with these labels ask for it: a classifier, or a head on its frozen features.
  public func folder(for labels: LabelSet) throws -> ModelFolder {
    let folder = try ModelFolder(model)
    guard let head else { return try folder.classifying(labels.names, labels.problem) }
    return folder.probing(labels.names, labels.problem, head.shape)
  }
}

extension DataConfiguration {
  fileprivate func asksTheSameLabels(as other: DataConfiguration) -> Bool {
    problem == other.problem && labels == other.labels
  }
}

extension ModelInputs {
  /// What makes samples of conversations as the run file asks for it, pictures as they are.
  /// - Throws: `Fault` for files that are missing, damaged, or do not fit the model.
  public init(_ folder: ModelFolder, _ model: MultimodalModel, _ data: DataConfiguration) throws {
    try self.init(folder, model, maxLength: data.maxLength)
    processor.boxes = data.boxes.style
    processor.trained = data.trainOn.rule
  }
}

extension BoxesConfiguration {
  /// What the run file's keys mean to records.
  var style: BoxStyle {
    var style = BoxStyle()
    style.convention =
      switch convention {
      case .none: .none
      case .normalised: .shares(digits: digits)
      case .relative1000: .thousandths
      case .resizedPixels: .pixels
      }
    (style.format, style.phrase, style.reference) = (format, phrase, reference)
    style.isStored = drawn == .stored
    (style.leastVisible, style.leastCovered) = (leastVisible, leastCovered)
    return style
  }
}

extension TrainOnConfiguration {
  /// What the run file's keys mean to records.
  fileprivate var rule: TrainedTurns {
    var rule = TrainedTurns()
    rule.roles = Set(
      roles.map { role in
        switch role {
        case .system: .system
        case .user: .user
        case .assistant: .assistant
        }
      })
    rule.which = turns == .last ? .last : .all
    return rule
  }
}

extension AugmentConfiguration {
  /// What the run file's keys mean to records.
  var rule: Augmentation {
    var rule = Augmentation()
    rule.cropScale = crop.map { $0.scale[0]...$0.scale[1] }
    rule.flip = flip
    (rule.flipSided, rule.flipBoxes) = (flipSided.rule, flipBoxes.rule)
    rule.brightness = colour?.brightness ?? 0
    rule.contrast = colour?.contrast ?? 0
    rule.saturation = colour?.saturation ?? 0
    return rule
  }
}

extension AugmentConfiguration.Flipped {
  fileprivate var rule: Augmentation.Flipped {
    switch self {
    case .refuse: .refuse
    case .keep: .keep
    case .flip: .flip
    }
  }
}
