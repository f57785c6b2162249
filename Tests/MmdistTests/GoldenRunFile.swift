import Ground
import TestSupport

extension Golden {
  /// A run file with the setting of a run of the reference; JSON is YAML.
  ///
  /// - Parameter section: `lora` starts from the reference's adapter, `full` from the model.
  func runFile(_ section: String = "lora") -> String {
    let run = json[section]
    let setting = run?["setting"]
    let lora = run?["lora"]
    var parts: JSON = [:]
    for part in ["vision", "projector", "language"] {
      var row: JSON = setting?["parts"]?[part] ?? ["train": "frozen"]
      if row["train"] == "lora" {
        row = row.with([
          "rank": lora?["r"] ?? .null, "alpha": lora?["lora_alpha"] ?? .null,
          "dropout": lora?["lora_dropout"] ?? .null, "targets": lora?["target_modules"] ?? .null,
        ])
      }
      parts = parts.with([part: row])
    }
    let file: JSON = [
      "model": .string(modelFolder), "adapter": section == "lora" ? .string(folder + "/adapter_init") : .null,
      "output": "./run",
      "data": [
        "train": [["path": .string(recordsFile), "images": .string(imagesFolder)]],
        "max_length": 512, "shuffle": false,
      ],
      "train": [
        "steps": setting?["steps"] ?? .null, "global_batch": setting?["global_batch"] ?? .null,
        "micro_batch": setting?["micro_batch"] ?? .null, "precision": "float32", "parts": parts,
        "schedule": ["name": "cosine", "warmup_ratio": setting?["warmup_ratio"] ?? .null],
        "clip_norm": setting?["clip_norm"] ?? .null,
      ],
    ]
    return file.indented
  }

  /// A run file that says no more than it must, with exact numbers.
  var plainRunFile: String {
    "model: \(modelFolder)\ndata: {train: [{path: \(recordsFile), images: \(imagesFolder)}]}\n"
      + "train: {precision: float32, steps: 4, global_batch: 4}\n"
  }
}

extension JSON {
  /// The object with these members set.
  func with(_ members: [String: JSON]) -> JSON {
    var object = object ?? [:]
    for (key, value) in members.sorted(by: { $0.key < $1.key }) { object[key] = value }
    return .object(object)
  }
}

/// `--set` for each pair.
func sets(_ pairs: String...) -> [String] { pairs.flatMap { ["--set", $0] } }
