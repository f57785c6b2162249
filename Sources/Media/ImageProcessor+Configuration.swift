import Foundation
import Ground

extension ImageProcessor {
  /// Reads the image processor of a Hugging Face model folder: `image_processor` in `processor_config.json`, else
  /// `preprocessor_config.json`.
  /// - Throws: `Fault(.missingInput)` without such a file; `Fault(.badConfiguration)`, naming the field, for a
  ///   processor or an option that is not supported: nothing that would change the pixels is ignored.
  public init(modelFolder: String) throws {
    let folder = URL(fileURLWithPath: modelFolder)
    let nested = folder.appendingPathComponent("processor_config.json").path
    if FileManager.default.fileExists(atPath: nested), let fields = try JSON(contentsOf: nested)["image_processor"] {
      try self.init(ProcessorFields(fields, at: nested))
      return
    }
    let plain = folder.appendingPathComponent("preprocessor_config.json").path
    guard FileManager.default.fileExists(atPath: plain) else {
      throw Fault(
        .missingInput, "no preprocessor_config.json and no image_processor in processor_config.json",
        at: modelFolder, "copy the model's processor files into its folder")
    }
    try self.init(ProcessorFields(JSON(contentsOf: plain), at: plain))
  }

  init(_ fields: ProcessorFields) throws {
    let family = try fields.family()
    try fields.checkNames()

    let crops = try fields.flag("do_center_crop") ?? family.crops
    let crop = try crops ? fields.cropSize() ?? family.cropSize : nil
    if crops && crop == nil { throw fields.fault("crop_size", "is missing, and do_center_crop is true", "give it") }

    let size = try fields.flag("do_resize") ?? true ? fields.size() ?? family.size : nil
    let output: PictureSize
    switch (crop, size) {
    case (let crop?, _): output = crop
    case (nil, .exactly(let height, let width)): output = PictureSize(height: height, width: width)
    case (nil, .shortestEdge):
      throw fields.fault(
        "size", "gives pictures of different sizes: shortest_edge without do_center_crop",
        "give height and width, or set do_center_crop")
    case (nil, nil):
      throw fields.fault("do_resize", "is false, so pictures keep their different sizes", "set it or do_center_crop")
    }

    let mean = try fields.perChannel("image_mean") ?? family.mean
    let deviation = try fields.perChannel("image_std") ?? family.deviation
    if deviation.contains(where: { Float($0) == 0 }) {
      throw fields.fault("image_std", "holds a zero", "give the standard deviations of the channels")
    }
    let scale = try fields.flag("do_rescale") ?? true ? fields.number("rescale_factor") ?? 1 / 255 : nil
    let normalizes = try fields.flag("do_normalize") ?? true
    let values = (0..<3).flatMap { channel in
      (0..<256).map { byte in
        let value = scale.map { Float(Double(byte) * $0) } ?? Float(byte)
        return normalizes ? (value - Float(mean[channel])) / Float(deviation[channel]) : value
      }
    }
    let pads = try fields.flag("do_pad") ?? false
    if pads && !family.padsToSquare {
      throw fields.fault("do_pad", "is true, which this processor does not support", "set it to false")
    }
    let fill = try mean.map { mean in
      guard let level = UInt8(exactly: (mean * 255).rounded(.towardZero)) else {
        if pads { throw fields.fault("image_mean", "is no colour to pad with", "give numbers from 0 to 1") }
        return UInt8(0)
      }
      return level
    }
    self.init(
      size: size, filter: try fields.filter(), crop: crop, squareFill: pads ? fill : nil, values: values,
      output: output)
  }
}

/// What a kind of processor does where its file is silent.
struct ProcessorFamily: Sendable {
  let size: ImageProcessor.Size
  let crops: Bool
  let cropSize: PictureSize?
  let mean: [Double]
  let deviation: [Double]
  let padsToSquare: Bool

  private static func clip(padsToSquare: Bool) -> ProcessorFamily {
    ProcessorFamily(
      size: .shortestEdge(224), crops: true, cropSize: PictureSize(height: 224, width: 224),
      mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711],
      padsToSquare: padsToSquare)
  }
  private static let siglip = ProcessorFamily(
    size: .exactly(height: 224, width: 224), crops: false, cropSize: nil, mean: [0.5, 0.5, 0.5],
    deviation: [0.5, 0.5, 0.5], padsToSquare: false)

  /// By the name in `image_processor_type`, without its ending.
  static let all: [String: ProcessorFamily] = [
    "CLIP": clip(padsToSquare: false), "Siglip": siglip, "Llava": clip(padsToSquare: true),
  ]
}
