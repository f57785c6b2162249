import Foundation
import Ground
import Models
import SafeTensors
import Tensors

/// Figures that transformers and PEFT computed for a tiny model; `Tests/Goldens/README.md` says how they are laid out.
public struct Golden: Sendable {
  public let folder: String
  public let json: JSON
  public let tensors: SafeTensorsFile

  public static let names = ["llava-clip-llama", "llava-siglip-qwen2", "llava-list", "gpt2"]
  public static let fixtures: String = {
    let here = #filePath
    return here.components(upTo: "TestSupport") + "Goldens/Fixtures"
  }()

  public init(_ name: String) throws {
    folder = Golden.fixtures + "/" + name
    json = try JSON(contentsOf: folder + "/golden.json")
    tensors = try SafeTensorsFile(folder + "/golden.safetensors")
  }

  public var modelFolder: String { folder + "/model" }
  public var imagesFolder: String { Golden.fixtures + "/images" }
  public var recordsFile: String { Golden.fixtures + "/" + (json["records_file"]?.string ?? "train.jsonl") }

  public func floats(_ name: String) throws -> [Float] { try tensors.floats(name) }

  /// The normalised pixels of a picture, [3, H, W], from the bytes that the reference resized it to.
  public func pixels(_ image: String) throws -> [Float] {
    let name = "pixels_u8." + image
    let bytes = try tensors.bytes(of: name)
    let processor = try JSON(contentsOf: modelFolder + "/processor_config.json")["image_processor"]
    let mean = processor?.doubles("image_mean") ?? []
    let deviation = processor?.doubles("image_std") ?? []
    let area = bytes.count / 3
    return (0..<3).flatMap { channel in
      (0..<area).map { Float((Double(bytes[$0 * 3 + channel]) / 255 - mean[channel]) / deviation[channel]) }
    }
  }

  public var records: [Record] { (json["records"]?.array ?? []).map(Record.init) }

  /// One record as the reference saw it.
  public struct Record {
    public let json: JSON

    public var ids: [Int32] { json.integers("input_ids").map(Int32.init) }
    public var labels: [Int32] { json.integers("labels").map(Int32.init) }
    public var images: [String] { (json["images"]?.array ?? []).compactMap(\.string) }
    public var nll: Double { json["nll"]?.double ?? .nan }
    public var tokens: Int { json["tokens"]?.integer ?? -1 }
    public var text: String { json["text"]?.string ?? "" }
  }
}

extension JSON {
  public func integers(_ key: String) -> [Int] { (self[key]?.array ?? []).compactMap(\.integer) }
  public func doubles(_ key: String) -> [Double] { (self[key]?.array ?? []).compactMap(\.double) }
}

extension String {
  fileprivate func components(upTo folder: String) -> String {
    guard let range = range(of: folder) else { return self }
    return String(self[..<range.lowerBound])
  }
}

/// ‖a − b‖ / ‖b‖
public func relativeDistance(_ a: [Float], _ b: [Float]) -> Double {
  precondition(a.count == b.count, "\(a.count) numbers against \(b.count)")
  let difference = zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
  let size = b.reduce(0.0) { $0 + Double($1) * Double($1) }
  return difference.squareRoot() / max(size.squareRoot(), 1e-30)
}
