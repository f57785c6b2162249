import Foundation
import Ground
import Models
import SafeTensors
import Tensors

/// Figures that transformers computed for texts with labels (Tests/Goldens/make_classifiers.py).
public struct LabelledGolden: Sendable {
  public let folder: String
  public let json: JSON
  public let tensors: SafeTensorsFile

  public init(_ name: String) throws {
    folder = Golden.fixtures + "/" + name
    json = try JSON(contentsOf: folder + "/golden.json")
    tensors = try SafeTensorsFile(folder + "/golden.safetensors")
  }

  /// A text as the reference saw it.
  public struct Example: Sendable {
    public let ids: [Int32]
    public let types: [Int32]
    public let label: Int
    public let logits: [Double]
    public let loss: Double
  }

  public var examples: [Example] {
    (json["examples"]?.array ?? []).map { json in
      Example(
        ids: json.integers("ids").map(Int32.init), types: json.integers("types").map(Int32.init),
        label: json["label"]?.integer ?? -1, logits: json.doubles("logits"), loss: json["loss"]?.double ?? .nan)
    }
  }

  public var labels: [String] { (json["labels"]?.array ?? []).compactMap(\.string) }

  /// All examples in one ragged batch.
  public func batch(_ backend: any Backend) -> TokenBatch {
    let lengths = examples.map(\.ids.count)
    let types = examples.flatMap(\.types)
    return TokenBatch(
      ids: backend.tensor(examples.flatMap(\.ids)), positions: backend.tensor(lengths.flatMap { 0..<Int32($0) }),
      positionLimit: lengths.max() ?? 0, sequences: Sequences(lengths: lengths),
      types: types.isEmpty ? nil : backend.tensor(types))
  }

  /// The row of each example that `classifier` reads.
  public func rows(_ classifier: SequenceClassifier, _ backend: any Backend) -> Tensor {
    var (start, rows): (Int, [Int32]) = (0, [])
    for example in examples {
      rows.append(Int32(start + classifier.reading.position(in: example.ids)))
      start += example.ids.count
    }
    return backend.tensor(rows)
  }
}
