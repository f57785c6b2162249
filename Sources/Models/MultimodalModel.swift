import Ground
import Modules
import Tensors

/// The parts of a model that are trained apart: each with its own method, learning rate and weight decay.
public enum ModelPart: String, CaseIterable, Sendable {
  case vision, projector, language
}

/// A LLaVA-style model: vision encoder → projector → language model, or its beginning; or a language model alone.
public final class MultimodalModel {
  /// Whether a token sees those that follow it too.
  public var readsBothWays: Bool { language.readsBothWays }

  /// What stands for the n pictures of a batch.
  public enum Pictures {
    /// [n, 3, S, S]
    case pixels(Tensor)
    /// What ``Eyes/features(_:_:)`` made of them, [n·rowsPerImage, featureWidth].
    case features(Tensor)
  }

  public let eyes: Eyes?
  public let language: any LanguageModel
  /// What gives labels to whole texts, in place of a head that predicts tokens.
  public let classifier: SequenceClassifier?
  /// What brings pictures and texts together that two encoders read apart.
  public let dual: DualEncoder?
  /// All parameters, each once, first used first.
  public let parameters: [Parameter]
  /// Every linear layer by path.
  public let linears: [Linear]
  /// The family of checkpoint keys.
  public let isMultimodal: Bool
  /// The last part that there is of a model's files: what comes after it is not wanted.
  let lastPart: ModelPart
  private let multiplied: Set<ObjectIdentifier>

  init(
    eyes: Eyes?, language: any LanguageModel, classifier: SequenceClassifier? = nil, dual: DualEncoder? = nil,
    upTo lastPart: ModelPart = .language, blueprint: Blueprint
  ) {
    self.classifier = classifier
    self.dual = dual
    self.lastPart = lastPart
    self.eyes = eyes
    self.language = language
    parameters = blueprint.parameters
    linears = blueprint.linears
    isMultimodal = eyes != nil
    multiplied = Set(
      blueprint.linears.filter { !MultimodalModel.isHead($0.path) && !$0.isTied }.map { ObjectIdentifier($0.weight) })
  }

  /// What the modules of a part lie in or are, with a dot behind it; all others are the language model's.
  private static let parts: [(part: ModelPart, places: [String])] = [
    (.vision, ["model.vision_tower.", "vision_model."]),
    (
      .projector,
      [
        "model.multi_modal_projector.", "visual_projection.", "text_projection.", "text_model.head.", "logit_scale.",
        "logit_bias.",
      ]
    ),
  ]

  /// The part that a parameter or module belongs to, by its path: a module is of the part that its parameters are of.
  public static func part(of path: String) -> ModelPart {
    let whole = path + "."
    return parts.first { $0.places.contains { whole.hasPrefix($0) } }?.part ?? .language
  }

  /// Whether nothing is done with the parameter but multiplying by it: it is a linear layer's matrix, not a head's.
  public func multipliesOnly(by parameter: Parameter) -> Bool { multiplied.contains(ObjectIdentifier(parameter)) }

  /// Hidden states of all tokens, [T, D], with the rows of the pictures in their places.
  ///
  /// - Parameters: imageRows [n·rowsPerImage]: where in the batch each row of each of the n pictures goes, in order.
  ///   Both nil where there is no picture. noise [T, D]: added to the embeddings of the text. rows [R]: the rows whose
  ///   states are wanted, [R, D]; nil for all.
  public func hidden(
    _ batch: TokenBatch, imageRows: Tensor?, pictures: Pictures?, noise: Tensor? = nil, rows: Tensor? = nil,
    cache: KeyValueCache? = nil, _ context: Context
  ) -> Tensor {
    let seen = see(batch, pictures: imageRows == nil ? nil : pictures, context)
    return hidden(batch, seen, imageRows: imageRows, noise: noise, rows: rows, cache: cache, context)
  }

  /// The same where tokens and pictures are embedded already.
  public func hidden(
    _ batch: TokenBatch, _ seen: Seen, imageRows: Tensor?, noise: Tensor? = nil, rows: Tensor? = nil,
    cache: KeyValueCache? = nil, _ context: Context
  ) -> Tensor {
    let placed = place(join(seen, imageRows: imageRows, noise: noise, context), batch, cache: cache, context)
    defer { cache?.finish() }
    return language.decode(
      placed.embeddings, placed.batch, rows: placed.rows(rows, context.backend), cache: cache, context)
  }

  /// The hidden states [T, D] after `depth` layers of the language model, as transformers numbers them.
  public func states(
    _ batch: TokenBatch, imageRows: Tensor?, pictures: Pictures?, depth: Int, _ context: Context
  ) -> Tensor {
    let seen = see(batch, pictures: imageRows == nil ? nil : pictures, context)
    let embeddings = join(seen, imageRows: imageRows, noise: nil, context)
    let placed = place(embeddings, batch, cache: nil, context)
    let states = language.states(placed.embeddings, placed.batch, depth: depth, context)
    return placed.rows(nil, context.backend).map { context.gatherRows(states, $0) } ?? states
  }

  /// The embeddings of a batch, before those of pictures are put in their places.
  public struct Seen {
    /// Of all tokens, [T, D]; what stands where pictures go means nothing.
    public let text: Tensor
    /// Of the n pictures, [n·rowsPerImage, D]; nil without any.
    public let pictures: Tensor?

    public init(text: Tensor, pictures: Tensor?) { (self.text, self.pictures) = (text, pictures) }
  }

  /// Embeds the tokens and looks at the pictures of a batch.
  public func see(_ batch: TokenBatch, pictures: Pictures?, _ context: Context) -> Seen {
    let text = language.embed(batch.ids, context)
    guard let eyes, let pictures else { return Seen(text: text, pictures: nil) }
    let features =
      switch pictures {
      case .pixels(let pixels): eyes.features(pixels, context)
      case .features(let features): features
      }
    return Seen(text: text, pictures: eyes.project(features, context))
  }

  /// The embeddings [T, D] of all tokens, with the rows of the pictures in their places.
  private func join(_ seen: Seen, imageRows: Tensor?, noise: Tensor?, _ context: Context) -> Tensor {
    let text = noise.map { context.add(seen.text, $0) } ?? seen.text
    guard dual == nil, let pictures = seen.pictures, let imageRows else { return text }
    return context.replaceRows(text, imageRows, with: pictures)
  }
}

extension MultimodalModel {
  /// Builds the model that a `config.json` describes; its parameters have no values yet.
  /// - Throws: `Fault(.badConfiguration)` that names the field which is wrong or not supported.
  public convenience init(
    configuration: JSON, at place: String, transforms: [any ModelTransform] = [],
    head: (labels: [String], problem: LabelProblem, shape: HeadShape)? = nil
  ) throws {
    let reader = try ConfigurationReader(configuration, at: place)
    let blueprint = Blueprint(transforms: transforms)
    let type = try reader.string("model_type")
    try reader.readQuantisation()
    if MultimodalModel.dualFamilies.contains(type) {
      try self.init(dual: reader, isCLIP: type == "clip", blueprint)
      return
    }
    let isVisionAlone = head != nil && VisionTransformer.types.contains(type)
    let (isClassifier, sees) = (SequenceClassifier.isAsked(by: configuration), type == "llava" || isVisionAlone)
    let lastPart = sees ? head.map { $0.shape.part ?? .vision } ?? .language : .language
    let (eyes, language) =
      sees
      ? isVisionAlone
        ? try makeEyes(reader, in: blueprint, asked: lastPart) : try makeLLaVA(reader, in: blueprint, upTo: lastPart)
      : (nil, try makeLanguageModel(reader, in: blueprint.root, LanguagePlace(hasHead: !isClassifier)))
    var classifier: SequenceClassifier?
    if let head {
      let reading = try head.shape.reading(of: eyes, language)
      classifier = SequenceClassifier(head.labels, head.problem, reading, hidden: head.shape.hidden, blueprint.root)
    } else if isClassifier, !sees {
      classifier = try SequenceClassifier(configuration, at: place, of: language, blueprint.root)
    }
    self.init(eyes: eyes, language: language, classifier: classifier, upTo: lastPart, blueprint: blueprint)
  }
}

/// Builds a vision encoder that is a model of its own.
private func makeEyes(
  _ reader: ConfigurationReader, in blueprint: Blueprint, asked part: ModelPart
) throws -> (eyes: MultimodalModel.Eyes, language: any LanguageModel) {
  guard part == .vision else {
    throw Fault(
      .badConfiguration, "a vision encoder alone has no \(part.rawValue) part", at: "head.on", "use vision")
  }
  let tower = try makeVisionTransformer(reader, blueprint.root.child("model.vision_tower"))
  let eyes = MultimodalModel.Eyes(
    tower: tower, parameters: blueprint.parameters, projector: .none,
    reading: .patches(depths: [tower.configuration.layers], dropsFirstRow: false))
  return (eyes, NoLanguage())
}

/// Builds a LLaVA model up to one of its parts.
private func makeLLaVA(
  _ reader: ConfigurationReader, in blueprint: Blueprint, upTo lastPart: ModelPart
) throws -> (eyes: MultimodalModel.Eyes, language: any LanguageModel) {
  let model = blueprint.root.child("model")
  let vision = try reader.nested("vision_config", default: llavaDefaultVision)
  let tower = try makeVisionTransformer(vision, model.child("vision_tower"))
  let towerParameters = blueprint.parameters
  let text = try reader.nested("text_config", default: ["model_type": "llama"])

  let strategy = try reader.string("vision_feature_select_strategy", default: "default")
  guard strategy == "default" || strategy == "full" else {
    throw reader.unsupported("vision_feature_select_strategy", .string(strategy), supported: "default or full")
  }
  guard strategy == "full" || tower.configuration.tokens > 1 else {
    throw Fault(
      .badConfiguration, "'vision_feature_select_strategy': \"default\" leaves nothing of a picture's single row",
      at: reader.place, "use \"full\"")
  }
  let depths = try featureDepths(reader, layers: tower.configuration.layers)
  let activation = try reader.activation("projector_hidden_act", default: "gelu")
  let bias = try reader.flag("multimodal_projector_bias", default: true)
  let imageToken = try reader.integer(
    reader.raw("image_token_id") == nil ? "image_token_index" : "image_token_id", default: 32000, in: 0...(1 << 30))
  reader.ignore("image_token_index", "ignore_index", "vocab_size")
  let tied = try reader.flag("tie_word_embeddings", default: false)
  reader.ignore("image_seq_length")  // follows from the vision encoder

  let textWidth = try text.integer(text.raw("n_embd") == nil ? "hidden_size" : "n_embd", default: 4096)
  let scope = model.child("multi_modal_projector")
  let projector =
    lastPart == .vision
    ? nil
    : FeedForward(
      first: scope.linear(
        "linear_1", inputs: tower.configuration.width * depths.count, outputs: textWidth, bias: bias),
      second: scope.linear("linear_2", inputs: textWidth, outputs: textWidth, bias: bias), activation: activation)
  let language: any LanguageModel =
    lastPart == .language
    ? try makeLanguageModel(text, in: blueprint.root, LanguagePlace(isNested: true, isTied: tied ? true : nil))
    : NoLanguage()
  try reader.finish()

  let eyes = MultimodalModel.Eyes(
    tower: tower, parameters: towerParameters,
    projector: projector.map(MultimodalModel.Eyes.Projector.feedForward) ?? .none,
    reading: .patches(depths: depths, dropsFirstRow: strategy == "default"), imageTokenID: imageToken)
  guard lastPart != .language || imageToken < language.vocabularySize else {
    throw Fault(
      .badConfiguration, "image token \(imageToken) is outside the vocabulary of \(language.vocabularySize)",
      at: reader.place, "correct image_token_index")
  }
  return (eyes, language)
}

/// `vision_feature_layer`, one or a list, negative counted from the end, as numbers of layers.
private func featureDepths(_ reader: ConfigurationReader, layers: Int) throws -> [Int] {
  let json = reader.raw("vision_feature_layer") ?? -2
  let wanted = json.array ?? [json]
  let depths = wanted.compactMap(\.integer).map { $0 < 0 ? layers + 1 + $0 : $0 }
  guard !depths.isEmpty, depths.count == wanted.count, depths.allSatisfy({ (0...layers).contains($0) }) else {
    throw reader.unsupported(
      "vision_feature_layer", json, supported: "a layer from \(-layers - 1) to \(layers), or a list of them")
  }
  return depths
}

/// What `LlavaConfig` takes for its vision encoder when the file does not say: CLIP ViT-L/14 at 336 pixels.
private let llavaDefaultVision: JSON = [
  "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
  "num_attention_heads": 16, "image_size": 336, "patch_size": 14,
]

extension MultimodalModel {
  /// Σ −weight · log p(target) over rows of hidden states [N, D], and the value of each row [N] without its weight.
  ///
  /// - Parameter weights: of the rows [N]; nil: all count as 1.
  public func crossEntropy(
    _ hidden: Tensor, targets: Tensor, weights: Tensor? = nil, _ context: Context
  ) -> (sum: Tensor, nll: Tensor) {
    context.crossEntropy(hidden: hidden, tokenHead.projection(context), targets: targets, weights: weights)
  }

  /// The weighted losses of `terms` over rows of hidden states [N, D], and the sum of each without its weight.
  ///
  /// - Parameters: `weights` of the rows [N], nil for 1; `teacher`, the model that distillation learns from, and its own
  ///   states of the same rows.
  public func tokenLosses(
    _ hidden: Tensor, targets: Tensor, weights: Tensor? = nil, teacher: (model: MultimodalModel, states: Tensor)? = nil,
    _ terms: TokenTerms,
    _ context: Context
  ) -> (sum: Tensor, crossEntropy: Double, squaredLogSum: Double, distillation: Double) {
    let silent = Context(context.backend)
    return context.tokenLosses(
      hidden: hidden, tokenHead.projection(context), targets: targets, weights: weights,
      teacher: teacher.map { ($0.states, $0.model.tokenHead.projection(silent).weight) }, terms)
  }

  /// −log p(target) of rows of hidden states [N, D], each with a gradient of its own, [N].
  public func tokenLogLosses(_ hidden: Tensor, targets: Tensor, _ context: Context) -> Tensor {
    context.tokenLogLosses(hidden: hidden, tokenHead.projection(context), targets: targets)
  }

  /// Logits [N, V] of hidden states [N, D].
  public func logits(_ hidden: Tensor, _ context: Context) -> Tensor { tokenHead(hidden, context) }

  private var tokenHead: any LinearLayer {
    guard let head = language.head else { preconditionFailure("a model without a head predicts no tokens") }
    return head
  }
}
