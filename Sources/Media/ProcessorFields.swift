import Ground

/// The fields of an image processor's file, read with errors that name file and field.
struct ProcessorFields {
  let fields: JSON
  let path: String

  /// Fields that change pixels, or would.
  private static let read: Set<String> = [
    "image_processor_type", "feature_extractor_type", "do_resize", "size", "default_to_square", "resample",
    "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std", "do_pad",
  ]
  /// Fields without effect on the pixels of RGB pictures.
  private static let harmless: Set<String> = [
    "processor_class", "do_convert_rgb", "pad_size", "data_format", "input_data_format", "device", "return_tensors",
    "disable_grouping", "image_seq_length", "_valid_processor_keys", "auto_map", "model_input_names", "_commit_hash",
    "transformers_version",
  ]
  /// The longest side that may come out.
  private static let longestSide = 8192

  init(_ fields: JSON, at path: String) throws {
    guard fields.object != nil else {
      throw Fault(
        .badConfiguration, "the image processor is \(fields.kindName), not an object", at: path, "correct the file")
    }
    self.fields = fields
    self.path = path
  }

  func fault(_ field: String, _ what: String, _ remedy: String) -> Fault {
    Fault(.badConfiguration, "\(field) \(what)", at: path, remedy)
  }

  /// A field that is there and not null: null means the default.
  private subscript(field: String) -> JSON? {
    guard let value = fields[field], !value.isNull else { return nil }
    return value
  }

  func family() throws -> ProcessorFamily {
    let field = self["image_processor_type"] == nil ? "feature_extractor_type" : "image_processor_type"
    let known = ProcessorFamily.all.keys.sorted().map { "\($0)ImageProcessor" }.joined(separator: ", ")
    guard let name = self[field]?.string else {
      throw fault("image_processor_type", "is missing", "give one of \(known)")
    }
    for ending in ["ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"]
    where name.hasSuffix(ending) {
      if let family = ProcessorFamily.all[String(name.dropLast(ending.count))] { return family }
    }
    throw fault(field, "'\(name)' is not supported", "use a model with one of \(known)")
  }

  /// Refuses fields that are not known, unless they are switched off.
  func checkNames() throws {
    for (name, value) in fields.object ?? [:] where !Self.read.contains(name) && !Self.harmless.contains(name) {
      if value.isNull || value == .bool(false) { continue }
      throw fault(name, "is not supported\(didYouMean(name, among: Self.read))", "remove it or set it to null")
    }
  }

  func flag(_ field: String) throws -> Bool? {
    guard let value = self[field] else { return nil }
    guard let flag = value.bool else { throw fault(field, "is \(value.kindName), not a boolean", "give true or false") }
    return flag
  }

  func number(_ field: String) throws -> Double? {
    guard let value = self[field] else { return nil }
    guard let number = value.double, number.isFinite else {
      throw fault(field, "is \(value.kindName), not a number", "give a number")
    }
    return number
  }

  /// Three numbers, or one for all channels.
  func perChannel(_ field: String) throws -> [Double]? {
    guard let value = self[field] else { return nil }
    if let number = value.double { return [number, number, number] }
    let numbers = value.array?.compactMap(\.double) ?? []
    guard numbers.count == 3, value.array?.count == 3 else {
      throw fault(field, "is not a list of three numbers", "give one for each of red, green and blue")
    }
    return numbers
  }

  func filter() throws -> ResampleFilter {
    guard let value = self["resample"] else { return .bicubic }
    guard let filter = value.integer.flatMap(ResampleFilter.init(rawValue:)) else {
      throw fault("resample", "\(value) is not a filter", "give 0 (nearest) to 5 (hamming); 3 is bicubic")
    }
    return filter
  }

  func size() throws -> ImageProcessor.Size? {
    guard let value = self["size"] else { return nil }
    if let edge = value.integer {
      let edge = try side(edge, "size")
      return try flag("default_to_square") ?? false ? .exactly(height: edge, width: edge) : .shortestEdge(edge)
    }
    if let members = value.object, members["shortest_edge"]?.isNull == false {
      try checkMembers(value, "size", ["shortest_edge"])
      return .shortestEdge(try side(members["shortest_edge"]?.integer, "size"))
    }
    let size = try heightAndWidth(value, "size")
    return .exactly(height: size.height, width: size.width)
  }

  func cropSize() throws -> PictureSize? {
    guard let value = self["crop_size"] else { return nil }
    if let edge = value.integer {
      let edge = try side(edge, "crop_size")
      return PictureSize(height: edge, width: edge)
    }
    return try heightAndWidth(value, "crop_size")
  }

  private func heightAndWidth(_ value: JSON, _ field: String) throws -> PictureSize {
    if let list = value.array, list.count == 2 {
      return PictureSize(height: try side(list[0].integer, field), width: try side(list[1].integer, field))
    }
    try checkMembers(value, field, ["height", "width"])
    return PictureSize(
      height: try side(value["height"]?.integer, field), width: try side(value["width"]?.integer, field))
  }

  private func checkMembers(_ value: JSON, _ field: String, _ known: Set<String>) throws {
    for (name, member) in value.object ?? [:] where !known.contains(name) && !member.isNull {
      throw fault("\(field).\(name)", "is not supported", "give height and width, or shortest_edge with do_center_crop")
    }
  }

  private func side(_ length: Int?, _ field: String) throws -> Int {
    guard let length, (1...Self.longestSide).contains(length) else {
      throw fault(field, "is no size in pixels", "give whole numbers from 1 to \(Self.longestSide)")
    }
    return length
  }
}
