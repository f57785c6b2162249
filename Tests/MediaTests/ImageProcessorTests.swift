import Foundation
import Ground
import XCTest

@testable import Media

final class ImageProcessorTests: XCTestCase {
  func testEveryProcessorHasTheReferencesBytesAndFloats() throws {
    for item in try Fixtures.expected("process") {
      let processor = try ImageProcessor(ProcessorFields(XCTUnwrap(item["fields"]), at: "fields"))
      let picture = try Fixtures.picture(XCTUnwrap(item["file"]?.string))
      let resized = try processor.resized(picture)
      XCTAssertEqual(processor.width, item["width"]?.integer, "\(item)")
      XCTAssertEqual(processor.height, item["height"]?.integer, "\(item)")
      XCTAssertEqual(resized.width, processor.width, "\(item)")
      XCTAssertEqual(sum(resized.pixels), item["bytes"]?.string, "\(item)")
      let floats = try processor.pixels(picture).withUnsafeBytes { sum($0) }
      XCTAssertEqual(floats, item["floats"]?.string, "\(item)")
    }
  }

  func testSettingsNameEveryDifference() throws {
    let plain: JSON = ["image_processor_type": "CLIPImageProcessor"]
    let settings = try processor(plain).settings
    XCTAssertEqual(try processor(plain).settings, settings)
    let changes: [(String, JSON)] = [
      ("resample", 2), ("size", 100), ("crop_size", 100), ("do_center_crop", false), ("do_resize", false),
      ("rescale_factor", 0.0039), ("do_normalize", false), ("image_mean", [0.48145466, 0.4578275, 0.40821]),
      ("image_std", [0.26862954, 0.26130258, 0.27577]), ("image_processor_type", "LlavaImageProcessor"),
    ]
    for (field, value) in changes {
      var fields = plain.object ?? [:]
      fields[field] = value
      if field == "do_center_crop" { fields["size"] = ["height": 224, "width": 224] }
      if field == "image_processor_type" { fields["do_pad"] = true }
      XCTAssertNotEqual(try processor(.object(fields)).settings, settings, field)
    }
  }

  func testPixelsAreChannelByChannel() throws {
    let processor = try processor([
      "image_processor_type": "SiglipImageProcessor", "size": ["height": 1, "width": 2], "image_mean": [0, 0.5, 1],
      "image_std": [1, 0.5, 2],
    ])
    let picture = Picture(width: 2, height: 1, pixels: [0, 255, 255, 255, 0, 0])
    XCTAssertEqual(try processor.pixels(picture), [0, 1, 1, -1, 0, -0.5])
  }

  func testTheShorterSideAndThePartWithoutFraction() {
    XCTAssertEqual(ImageProcessor.scaled(PictureSize(height: 100, width: 77), shortestEdge: 24).height, 31)
    XCTAssertEqual(ImageProcessor.scaled(PictureSize(height: 77, width: 100), shortestEdge: 24).width, 31)
    XCTAssertEqual(ImageProcessor.scaled(PictureSize(height: 5, width: 5), shortestEdge: 24).width, 24)
    XCTAssertEqual(
      ImageProcessor.scaled(PictureSize(height: 1, width: 178_956_970), shortestEdge: 8192).width, 1_466_015_498_240)
  }

  func testAnEndlessPictureIsCropped() throws {
    let processor = try processor(["image_processor_type": "CLIPImageProcessor"])
    let picture = Picture(width: 1_000_000, height: 1, pixels: [UInt8](repeating: 50, count: 3_000_000))
    XCTAssertEqual(Set(try processor.resized(picture).pixels), [50])
  }

  func testAnEndlessPictureIsNotMadeSquare() throws {
    let processor = try processor(["image_processor_type": "LlavaImageProcessor", "do_pad": true])
    let picture = Picture(width: 1, height: 1_000_000, pixels: [UInt8](repeating: 50, count: 3_000_000))
    let thrown = fault { try processor.pixels(picture, at: "a.png") }
    XCTAssertEqual(thrown?.kind, .badData)
    XCTAssertEqual(thrown?.place, "a.png")
    XCTAssertEqual(
      thrown?.what,
      "the picture of 1 × 1000000 pixels is too large when it is made square, as do_pad says: at most 178956970 pixels "
        + "are taken")
    XCTAssertNoThrow(try processor.check(height: 13_377, width: 1))
    XCTAssertThrowsError(try processor.check(height: 1, width: 13_378))
    XCTAssertNoThrow(
      try self.processor(["image_processor_type": "LlavaImageProcessor"]).check(height: 1, width: 1_000_000))
  }

  // MARK: Files

  func testBothFilesAndTheirOrder() throws {
    let folder = try temporaryFolder()
    XCTAssertEqual(fault { try ImageProcessor(modelFolder: folder) }?.kind, .missingInput)

    let plain: JSON = ["image_processor_type": "CLIPImageProcessor", "crop_size": 30]
    try writeDurably(plain.description, to: folder + "/preprocessor_config.json")
    XCTAssertEqual(try ImageProcessor(modelFolder: folder).width, 30)

    try writeDurably("{\"processor_class\": \"LlavaProcessor\"}", to: folder + "/processor_config.json")
    XCTAssertEqual(try ImageProcessor(modelFolder: folder).width, 30)

    let nested: JSON = [
      "image_processor": ["image_processor_type": "SiglipImageProcessorFast", "size": ["height": 9, "width": 7]]
    ]
    try writeDurably(nested.description, to: folder + "/processor_config.json")
    let processor = try ImageProcessor(modelFolder: folder)
    XCTAssertEqual([processor.height, processor.width], [9, 7])
    XCTAssertEqual(processor, try ImageProcessor(modelFolder: folder))

    try writeDurably("{", to: folder + "/processor_config.json")
    XCTAssertEqual(fault { try ImageProcessor(modelFolder: folder) }?.kind, .badData)
    try writeDurably("{\"image_processor\": 3}", to: folder + "/processor_config.json")
    XCTAssertEqual(fault { try ImageProcessor(modelFolder: folder) }?.kind, .badConfiguration)
  }

  func testNamesAndDefaults() throws {
    let clip = try processor(["image_processor_type": "CLIPImageProcessor"])
    XCTAssertEqual([clip.height, clip.width], [224, 224])
    for name in ["CLIPImageProcessorFast", "CLIPImageProcessorPil"] {
      XCTAssertEqual(try processor(["image_processor_type": .string(name)]), clip)
    }
    XCTAssertEqual(try processor(["feature_extractor_type": "CLIPFeatureExtractor"]), clip)
    XCTAssertEqual(
      try processor(["image_processor_type": "CLIPImageProcessor", "size": nil, "image_mean": nil, "resample": 3]), clip
    )
    XCTAssertNotEqual(try processor(["image_processor_type": "SiglipImageProcessor"]), clip)
  }

  func testWhatHasNoEffectIsFine() throws {
    XCTAssertNoThrow(
      try processor([
        "image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor",
        "data_format": "channels_first",
        "do_convert_rgb": nil, "do_pad": false, "pad_size": nil, "device": nil, "disable_grouping": nil,
        "size_divisor": nil, "use_square_size": false, "_valid_processor_keys": ["images"],
      ]))
  }

  func testWhatIsNotSupportedIsNamed() throws {
    for (fields, what) in [
      (
        ["image_processor_type": "Qwen2VLImageProcessor"],
        "image_processor_type 'Qwen2VLImageProcessor' is not supported"
      ),
      ([:], "image_processor_type is missing"),
      (["do_pad": true], "do_pad is true, which this processor does not support"),
      (["size_divisor": 32], "size_divisor is not supported"),
      (["image_grid_pinpoints": [[336, 672]]], "image_grid_pinpoints is not supported"),
      (["crop_pct": 0.9], "crop_pct is not supported; did you mean 'crop_size'?"),
      (["do_centre_crop": true], "do_centre_crop is not supported; did you mean 'do_center_crop'?"),
      (["do_center_crop": false], "size gives pictures of different sizes: shortest_edge without do_center_crop"),
      (["do_center_crop": false, "do_resize": false], "do_resize is false, so pictures keep their different sizes"),
      (["size": ["longest_edge": 300]], "size.longest_edge is not supported"),
      (["size": ["shortest_edge": 30, "longest_edge": 300]], "size.longest_edge is not supported"),
      (["size": ["height": 30]], "size is no size in pixels"),
      (["size": 0], "size is no size in pixels"),
      (["size": -4], "size is no size in pixels"),
      (["size": 9_000_000_000], "size is no size in pixels"),
      (["size": "large"], "size is no size in pixels"),
      (["crop_size": ["height": 30, "width": 20.5]], "crop_size is no size in pixels"),
      (["crop_size": [1, 2, 3]], "crop_size is no size in pixels"),
      (["resample": 6], "resample 6 is not a filter"),
      (["resample": "bicubic"], "resample \"bicubic\" is not a filter"),
      (["image_mean": [0.5, 0.5]], "image_mean is not a list of three numbers"),
      (["image_std": [1, 0, 1]], "image_std holds a zero"),
      (["rescale_factor": "1/255"], "rescale_factor is a string, not a number"),
      (["do_resize": 1], "do_resize is a number, not a boolean"),
    ] as [(JSON, String)] {
      var members = fields.object!
      if members["image_processor_type"] == nil, !members.isEmpty {
        members["image_processor_type"] = "CLIPImageProcessor"
      }
      let thrown = fault { try processor(.object(members)) }
      XCTAssertEqual(thrown?.kind, .badConfiguration, what)
      XCTAssertEqual(thrown?.what, what)
      XCTAssertEqual(thrown?.place, "processor file")
    }
  }

  private func processor(_ fields: JSON) throws -> ImageProcessor {
    try ImageProcessor(ProcessorFields(fields, at: "processor file"))
  }

  private func temporaryFolder() throws -> String {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("processor-\(UUID().uuidString)").path
    try makeFolder(path)
    addTeardownBlock { try? FileManager.default.removeItem(atPath: path) }
    return path
  }
}
