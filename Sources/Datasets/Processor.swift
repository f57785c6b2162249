import Features
import Ground
import Media
import Tokenizers

/// Turns a ``Record`` into a ``Sample``: chat template, placeholder tokens, token ids, what is trained, pixels.
///
/// The whole conversation is rendered, every placeholder repeated to its number of tokens, and tokenized once;
/// a token is trained when it overlaps what the template marks as the assistant's, and is no placeholder.
public struct Processor: Sendable {
  /// How a model takes pictures.
  public struct Vision: Sendable {
    public let processor: ImageProcessor
    /// The placeholder as the tokenizer writes it, `<image>` for LLaVA, and its id.
    public let token: String
    public let tokenID: Int
    /// Placeholder tokens of one picture.
    public let tokensPerImage: Int
    /// Which of them stand for which part of the picture; nil where that is not known.
    public let grid: PatchGrid?

    public init(
      processor: ImageProcessor, token: String = Record.imageTag, tokenID: Int, tokensPerImage: Int,
      grid: PatchGrid? = nil
    ) {
      self.grid = grid
      precondition(!token.isEmpty && tokensPerImage > 0, "Vision: token '\(token)' × \(tokensPerImage)")
      self.processor = processor
      self.token = token
      self.tokenID = tokenID
      self.tokensPerImage = tokensPerImage
    }
  }

  /// Renders turns with the model's chat template; `weights` say how much the tokens of each count, 0 that it is not
  /// trained; nil: up to where the assistant begins to speak, nothing is trained.
  typealias Render = @Sendable (_ turns: [Turn], _ weights: [Float]?) throws -> MarkedText

  let tokenizer: Tokenizer
  let render: Render
  public let vision: Vision?
  /// Where features of pictures are kept; pictures that it knows are not even decoded.
  public var features: FeatureStore?
  /// Whether every picture is shown as one of the mean colour, which is zeros, whatever its file holds.
  public var isBlind = false
  /// The most tokens of a sample.
  public let maxLength: Int
  /// Whether ``maxLength`` is as much as the model reads, so that more cannot be asked for.
  public var isLimitedByModel = false
  /// Which turns are trained.
  public var trained = TrainedTurns()
  /// How boxes of regions are written.
  public var boxes = BoxStyle()
  /// How pictures are changed when they are trained on.
  public var augmentation: Augmentation?
  /// What is found out about regions while records are encoded.
  let tally = RegionTally()

  /// - Parameter vision: nil for a model that takes text alone.
  public init(tokenizer: Tokenizer, template: ChatTemplate, vision: Vision?, maxLength: Int) {
    let placeholders = Set([Record.imageTag, vision?.token].compactMap(\.self))
    let endTokens = Set(tokenizer.specialTokens.keys).union(template.specialTokens).subtracting(placeholders)
    let token = vision?.token ?? Record.imageTag
    self.init(tokenizer: tokenizer, vision: vision, maxLength: maxLength) { turns, weights in
      let messages = turns.map(ChatMessage.init)
      let tools = turns.flatMap(\.tools)
      let text =
        if let weights {
          MarkedText(
            try template.renderForTraining(
              messages, tools: tools, endTokens: endTokens, trained: Set(weights.indices.filter { weights[$0] > 0 })),
            weights)
        } else {
          MarkedText(text: try template.render(messages, tools: tools, addGenerationPrompt: true), spans: [])
        }
      return text.replacing(Record.imageTag, with: token)
    }
  }

  init(tokenizer: Tokenizer, vision: Vision?, maxLength: Int, render: @escaping Render) {
    self.tokenizer = tokenizer
    self.vision = vision
    self.maxLength = maxLength
    self.render = render
  }

  // MARK: Records

  /// The sample of a record.
  /// - Throws: `Fault` with `file:line`: a template that refuses the conversation, no supervised token, a sample
  ///   longer than ``maxLength``, a placeholder that is no picture's, a picture that cannot be decoded, a region that
  ///   does not fit its picture.
  public func sample(_ record: Record) throws -> Sample { try sample(record, nil) }

  /// The sample of a record whose pictures are changed as ``augmentation`` says.
  /// - Parameter draw: nil for pictures as they are.
  /// - Throws: as ``sample(_:)``.
  public func sample(_ record: Record, _ draw: RandomDraw?) throws -> Sample {
    // Where regions are named, the text depends on the sizes of pictures; elsewhere it is looked at first.
    let isAugmented = draw != nil && augmentation != nil && vision != nil && !record.images.isEmpty
    let known = record.regions.isEmpty && !isAugmented ? nil : try files(of: record)
    var look = try look(record, known ?? [], isAugmented ? draw : nil)
    let plain = look?.withoutGeometry
    var text = try encode(record, look, limit: plain == nil ? maxLength : .max)
    if let plain, text.ids.count > maxLength {
      // Other boxes, other digits: what is too long by them is taken as it was checked.
      look = plain
      text = try encode(record, plain, limit: maxLength)
    }
    var sample = Sample(
      ids: text.ids, supervised: text.supervised, weights: text.weights,
      pictures: try pictures(known ?? files(of: record), look?.views, at: record.place),
      imagePositions: text.imagePositions, place: record.place, index: record.index)
    sample.regions = text.regions
    return sample
  }

  /// The tokens of a record, with no look at its pictures but for the sizes of those that it names regions of: what can
  /// be asked of every record before training.
  /// - Throws: as ``sample(_:)``, apart from pictures.
  @discardableResult
  public func encode(_ record: Record) throws -> EncodedText {
    try encode(record, look(record, record.regions.isEmpty ? [] : files(of: record)), limit: maxLength)
  }

  private func encode(_ record: Record, _ look: RegionLook?, limit: Int) throws -> EncodedText {
    do {
      try augmentation?.check(record)
      let weights = trained.weights(of: record.turns)
      guard weights.contains(where: { $0 > 0 }) else { throw trained.nothing(in: record.turns) }
      let text = try encode(record.turns, images: record.images.count, weights, regions: look)
      guard text.supervised.dropFirst().contains(true) else {
        throw Fault(.badData, "no supervised token", "give the assistant something to say, or remove the record")
      }
      guard text.ids.count <= limit else {
        throw tooLong("\(text.ids.count) tokens", "shorten the record")
      }
      return text
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }

  private func tooLong(_ what: String, _ remedy: String) -> Fault {
    isLimitedByModel
      ? Fault(
        .badData, "\(what) > max_length \(maxLength), as many as the model has positions",
        "\(remedy): the model reads no more"
      )
      : Fault(.badData, "\(what) > max_length \(maxLength)", "\(remedy) or raise data.max_length")
  }

  /// A record as it is, of which nothing has to be supervised: for its embedding.
  /// - Parameter withText: false for its pictures alone.
  /// - Throws: as ``sample(_:)``, apart from supervised tokens.
  public func unsupervised(_ record: Record, withText: Bool) throws -> Sample {
    do {
      let known = record.regions.isEmpty ? nil : try files(of: record)
      let text =
        withText
        ? try encode(
          record.turns, images: record.images.count, record.turns.map { _ in 0 }, regions: look(record, known ?? []))
        : EncodedText(ids: [], supervised: [], imagePositions: [])
      guard text.ids.count <= maxLength else {
        throw Fault(.badData, "\(text.ids.count) tokens, the most is \(maxLength)", "shorten the record")
      }
      return Sample(
        ids: text.ids, supervised: [Bool](repeating: false, count: text.ids.count),
        pictures: try pictures(known ?? files(of: record), nil, at: record.place), imagePositions: text.imagePositions,
        place: record.place, index: record.index)
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }

  /// The record with the boxes of its regions written in its turns as ``boxes`` says, and no regions any more.
  /// - Throws: `Fault` with `file:line` for a region that does not fit its picture.
  public func writingBoxes(in record: Record) throws -> Record {
    guard let look = try look(record, record.regions.isEmpty ? [] : files(of: record)) else { return record }
    do {
      let turns = try look.written(record.turns).map { $0.saying($0.text) }
      return Record(
        id: record.id, turns: turns, images: record.images, place: record.place, index: record.index,
        metadata: record.metadata, rejected: record.rejected)
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }

  // MARK: Prompts

  /// The tokens and pixels of a conversation that the assistant is to continue; nothing in it is supervised.
  /// - Throws: `Fault` when the pictures do not fit the placeholders or cannot be decoded, or for more tokens than `maxLength`.
  public func prompt(_ turns: [Turn], images: [ImageLocation]) throws -> Sample {
    let text = try encodePrompt(turns, images: images.count)
    return Sample(
      ids: text.ids, supervised: [Bool](repeating: false, count: text.ids.count),
      pictures: try pictures(images.map { try PictureFile($0) }, nil, at: nil), imagePositions: text.imagePositions,
      place: "the prompt", index: 0)
  }

  /// The tokens of a conversation that the assistant is to continue, without a look at its pictures.
  /// - Throws: as ``prompt(_:images:)``, apart from pictures.
  func encodePrompt(_ turns: [Turn], images: Int) throws -> EncodedText {
    let text = try encode(turns, images: images, nil)
    guard text.ids.count <= maxLength else {
      throw Fault(.badData, "the prompt has \(text.ids.count) tokens, the model takes \(maxLength)", "shorten it")
    }
    return text
  }

  // MARK: Steps

  private func encode(
    _ turns: [Turn], images: Int, _ weights: [Float]?, regions: RegionLook? = nil
  ) throws -> EncodedText {
    guard images == 0 || vision != nil else {
      throw Fault(.badData, "a picture for a model that takes none", "remove the picture or use another model")
    }
    let turns = try regions.map { try $0.written(turns) } ?? turns
    let rendered = try expand(render(turns, weights), images: images)
    let encoding = try tokenizer.encode(rendered: rendered.text)
    guard let ids = encoding.ids.asInt32 else {
      throw Fault(.badData, "the tokenizer gives an id beyond 2³¹", "check tokenizer.json")
    }
    var supervised = overlapping(encoding.offsets, rendered.spans)
    var counts = rendered.weights.isEmpty ? [] : heaviest(encoding.offsets, rendered.spans, rendered.weights)
    guard let vision else {
      return EncodedText(ids: ids, supervised: supervised, weights: counts, imagePositions: [])
    }

    let positions = encoding.ids.indices.filter { encoding.ids[$0] == vision.tokenID }
    guard positions.count == images * vision.tokensPerImage else {
      throw Fault(
        .badConfiguration,
        "\(positions.count) tokens \(vision.tokenID) from \(images * vision.tokensPerImage) "
          + "placeholders '\(vision.token)'", "check that the tokenizer and config.json agree on the image token")
    }
    for position in positions {
      supervised[position] = false
      if !counts.isEmpty { counts[position] = 0 }
    }
    let regions = try regions?.regions(in: turns, rendered.named, encoding.offsets) ?? []
    return EncodedText(
      ids: ids, supervised: supervised, weights: counts, imagePositions: positions, regions: regions)
  }

  /// Repeats every placeholder to its number of tokens; how long that makes the text is known before.
  private func expand(_ rendered: MarkedText, images: Int) throws -> MarkedText {
    guard let vision else { return rendered }
    let found = occurrences(of: vision.token, in: rendered.text).count
    guard found == images else {
      throw Fault(
        .badData, "image placeholders '\(vision.token)': \(found) in the rendered text, \(images) expected",
        found > images
          ? "take '\(vision.token)' out of the text" : "use a chat template that writes '\(vision.token)' for an image")
    }
    guard images <= maxLength / vision.tokensPerImage else {
      throw tooLong("image tokens: \(images) × \(vision.tokensPerImage)", "use fewer images")
    }
    let repeated = String(repeating: vision.token, count: vision.tokensPerImage)
    return rendered.replacing(vision.token, with: repeated)
  }

  private func pictures(
    _ files: [PictureFile], _ views: [PictureVariant]?, at place: String?
  ) throws -> [PictureInput] {
    guard let vision else { return [] }
    if isBlind { return files.map { _ in blank(vision.processor) } }
    return try files.enumerated().map { number, file in
      do {
        if let views {
          let seen = try file.picture().seen(views[number])
          return .pixels(try Pixels(seen, vision.processor, at: file.name), digest: nil)
        }
        return try PictureInput(file, vision.processor, features)
      } catch let fault as Fault {
        throw place.map(fault.relocated(to:)) ?? fault
      }
    }
  }

  /// The files of a record's pictures, read.
  private func files(of record: Record) throws -> [PictureFile] {
    guard vision != nil else { return [] }
    do {
      return try record.images.map { try PictureFile($0) }
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }

  /// How a record's pictures are looked at, and its regions on them; nil where they are seen as they are, without regions.
  private func look(_ record: Record, _ files: [PictureFile], _ draw: RandomDraw? = nil) throws -> RegionLook? {
    guard let vision, draw != nil || !record.regions.isEmpty else { return nil }
    do {
      let outlines = try files.map { try $0.outline() }
      let placed = try PlacedRegions(record, outlines, boxes)
      var look = RegionLook(placed: placed, vision: vision, sizes: outlines.map(\.size), views: nil)
      if draw == nil { tally.add(try placed.checkVisible(look.placements)) }
      if let draw { look.views = augmentation?.views(record, look.sizes, draw, isWhole: look.isWhole) }
      return look
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }
}

extension Processor {
  private func blank(_ processor: ImageProcessor) -> PictureInput {
    let digest = Array("a picture of zeros".utf8).withUnsafeBytes(Checksum.digits)
    if let known = features?.find(digest) { return .features(known) }
    let values = [Float](repeating: 0, count: 3 * processor.height * processor.width)
    return .pixels(
      Pixels(values: values, height: processor.height, width: processor.width),
      digest: features == nil ? nil : digest)
  }
}

/// The tokens of a conversation.
public struct EncodedText: Equatable, Sendable {
  public let ids: [Int32]
  public let supervised: [Bool]
  /// How much each supervised token counts in losses, 0 for others; empty where all count as 1.
  public var weights: [Float] = []
  /// Positions in `ids` of the placeholder tokens.
  public let imagePositions: [Int]
  /// Parts of its pictures that words of it name.
  public var regions: [Sample.Region] = []
}

extension MarkedText {
  /// - Parameter weights: of the turns.
  init(_ text: TrainingText, _ weights: [Float]) {
    let counts = text.speakers.map { weights[$0] }
    self.init(
      text: text.text, spans: text.supervised, weights: counts.allSatisfy { $0 == 1 } ? [] : counts, named: text.named)
  }
}

extension ChatMessage {
  /// The message of a turn, cut at its `<image>` tags and around words that are bound to regions; everything else, line
  /// ends included, stays where it is.
  init(_ turn: Turn) {
    var content: [Part] = []
    let bytes = Array(turn.text.utf8)
    var start = 0
    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    func addText(upTo end: Int) {
      if start < end { content.append(.text(text(start..<end))) }
    }
    var marks = occurrences(of: Record.imageTag, in: turn.text).map { (range: $0, part: Part.image) }
    for mention in turn.mentions where !mention.range.isEmpty {
      marks.append((mention.range, .named(text(mention.range), mention.number)))
    }
    if !turn.mentions.isEmpty { marks.sort { $0.range.lowerBound < $1.range.lowerBound } }
    for mark in marks {
      addText(upTo: mark.range.lowerBound)
      content.append(mark.part)
      start = mark.range.upperBound
    }
    addText(upTo: bytes.count)
    self.init(role: turn.role.rawValue, content: content, extras: turn.extras)
  }
}

extension Fault {
  /// The same fault at a record's place; a place that it names already, a picture's path, joins what went wrong.
  public func relocated(to record: String) -> Fault {
    guard let place else { return placed(at: record) }
    return Fault(kind, "\(place): \(what)", at: record, remedy)
  }
}

extension [Int] {
  /// The same numbers, or nil when one does not fit.
  fileprivate var asInt32: [Int32]? {
    let narrow = compactMap(Int32.init(exactly:))
    return narrow.count == count ? narrow : nil
  }
}
