import Datasets
import Ground
import Media
import Models
import Tokenizers

/// What turns a model folder's kind of records into its inputs: tokenizer, chat template, image processor.
public struct ModelInputs: Sendable {
  public let tokenizer: Tokenizer
  public let template: ChatTemplate
  public var processor: Processor

  /// - Throws: `Fault` for files that are missing, damaged, or do not fit the model.
  public init(_ folder: ModelFolder, _ model: MultimodalModel, maxLength: Int) throws {
    guard model.language.head != nil else {
      throw Fault(
        .badConfiguration, "this model writes no text", at: folder.path,
        "train it on texts with labels (format: classification), or use a language model")
    }
    tokenizer = try Tokenizer(modelFolder: folder.path)
    template = try ChatTemplate(modelFolder: folder.path)
    try requireRoom(for: tokenizer, in: model, at: folder.path)
    var vision: Processor.Vision?
    if let eyes = model.eyes, let imageTokenID = eyes.imageTokenID {
      let images = try imageProcessor(of: folder, for: eyes)
      guard let token = tokenizer.token(of: imageTokenID) else {
        throw Fault(
          .badConfiguration, "the tokenizer has no token \(imageTokenID), the model's image token",
          at: folder.path, "use the tokenizer of this model")
      }
      vision = Processor.Vision(
        processor: images, token: token, tokenID: imageTokenID, tokensPerImage: eyes.rowsPerImage,
        grid: PatchGrid(eyes))
    }
    let longest = min(maxLength, model.longestSequence ?? .max)
    processor = Processor(tokenizer: tokenizer, template: template, vision: vision, maxLength: longest)
    processor.isLimitedByModel = longest == model.longestSequence
  }
}

extension PatchGrid {
  init(_ eyes: MultimodalModel.Eyes) {
    let side = eyes.patchesPerSide
    self.init(columns: side, rows: side, patch: eyes.patchSize, leadingRows: eyes.rowsPerImage - side * side)
  }
}

/// What makes pixels of pictures for a model's vision encoder.
/// - Throws: `Fault` for files that are missing, damaged, or do not fit the model.
public func imageProcessor(of folder: ModelFolder, for eyes: MultimodalModel.Eyes) throws -> ImageProcessor {
  let images = try ImageProcessor(modelFolder: folder.path)
  guard images.height == eyes.imageSize, images.width == eyes.imageSize else {
    throw Fault(
      .badConfiguration,
      "the image processor makes \(images.height)×\(images.width), the vision encoder takes \(eyes.imageSize)×\(eyes.imageSize)",
      at: folder.path, "use the processor files of this model")
  }
  return images
}

/// - Throws: `Fault(.badConfiguration)` where a tokenizer has more tokens than the model.
public func requireRoom(for tokenizer: Tokenizer, in model: MultimodalModel, at place: String) throws {
  guard tokenizer.vocabularySize <= model.language.vocabularySize else {
    throw Fault(
      .badConfiguration,
      "the tokenizer has \(tokenizer.vocabularySize) tokens, the model only \(model.language.vocabularySize)",
      at: place, "use the tokenizer and weights of one model")
  }
}
