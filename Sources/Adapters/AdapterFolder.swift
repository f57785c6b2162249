import Foundation
import Ground
import Models
import SafeTensors
import Tensors

/// An adapter on disk: one folder of one format, or, where no format holds all that was trained, a folder for each part
/// with an adapter of its own.
extension AdaptedModel {
  private typealias Piece = (folder: String, part: ModelPart?, format: any AdapterFormat.Type)

  private static func pieces(ofAdapter path: String) throws -> [Piece] {
    let parts = ModelPart.allCases.filter { configuration(in: "\(path)/\($0.rawValue)") != nil }
    if parts.isEmpty || configuration(in: path) != nil { return [(path, nil, try format(ofAdapter: path))] }
    return try parts.map { ("\(path)/\($0.rawValue)", $0, try format(ofAdapter: "\(path)/\($0.rawValue)")) }
  }

  /// The file that says what a folder holds; nil where there is none.
  private static func configuration(in path: String) -> String? {
    ["adapter_setup.json", "adapter_config.json"].map { "\(path)/\($0)" }.first {
      FileManager.default.fileExists(atPath: $0)
    }
  }

  private static func format(ofAdapter path: String) throws -> any AdapterFormat.Type {
    let file = configuration(in: path) ?? path + "/adapter_config.json"
    let configuration = try JSON(contentsOf: file)
    if let format = adapterFormats.first(where: { $0.wrote(configuration) }) { return format }
    throw Fault(
      .badConfiguration, "'peft_type' \(configuration["peft_type"] ?? .null) is not supported", at: file,
      "use an adapter of PEFT's LORA, PROMPT_TUNING, PREFIX_TUNING or P_TUNING, or of the adapters library")
  }

  /// How an adapter's parts were trained, as its files tell.
  public static func methods(ofAdapter path: String, for folder: ModelFolder) throws -> [ModelPart: any TuningMethod] {
    var methods: [ModelPart: any TuningMethod] = [:]
    for piece in try pieces(ofAdapter: path) {
      for (part, method) in try piece.format.methods(ofAdapter: piece.folder, for: folder) {
        guard piece.part == nil || piece.part == part else {
          throw Fault(
            .badData, "the adapter changes the \(part.rawValue) part", at: piece.folder,
            "put it in a folder of that name")
        }
        methods[part] = method
      }
    }
    return methods
  }

  /// The modules of each part, of models that take pictures.
  static let modules: [(part: ModelPart, names: [String])] = [
    (.vision, ["vision_tower", "vision_model"]),
    (.projector, ["multi_modal_projector", "visual_projection", "text_projection", "text_model.head"]),
    (.language, ["language_model", "lm_head"]),
  ]

  /// The parts, language aside, that an adapter brings whole: those of which it holds more than updates.
  ///
  /// The tensors tell, since PEFT's `modules_to_save` names modules by any ending. With its `bias` an adapter holds
  /// biases of parts that it does not bring.
  public static func wholeParts(ofAdapter path: String) throws -> Set<ModelPart> {
    var parts: Set<ModelPart> = []
    for piece in try pieces(ofAdapter: path) {
      let file = piece.folder + "/adapter_config.json"
      guard FileManager.default.fileExists(atPath: file) else { continue }
      let configuration = try JSON(contentsOf: file)
      guard configuration["peft_type"] != nil else { continue }
      let hasBiases = configuration["bias"]?.string.map { $0 != "none" } ?? false
      for key in try WeightFiles(folder: piece.folder, name: "adapter_model").names {
        if !LoRAFormat.isUpdate(key), !LoRAFormat.isFromBefore(key), !(hasBiases && key.hasSuffix(".bias")) {
          parts.insert(MultimodalModel.part(of: WeightNames.withPictures.canonical(bareName(of: key))))
        }
      }
    }
    return parts.subtracting([.language])
  }

  /// A key without what PEFT puts in front of it: with low-rank updates a `model.` more than without.
  private static func bareName(of key: String) -> String {
    let prefix = [LoRAFormat.prefix, "base_model."].first(where: key.hasPrefix) ?? ""
    return String(key.dropFirst(prefix.count))
  }

  /// What an adapter has to hold something of.
  private var working: [any Tuning] { tunings.filter { !$0.added.isEmpty || $0.trainsModules } }

  /// Gives what is added, and the parts trained whole, the values of an adapter.
  func loadAdapter(_ path: String, backend: any Backend) throws {
    var waiting = working.filter { !$0.added.isEmpty }.map(\.part)
    for piece in try AdaptedModel.pieces(ofAdapter: path) {
      let own = working.filter { piece.part == nil || piece.part == $0.part }
      guard piece.format.fills(own) else {
        let rows = own.map { "train.parts.\($0.part.rawValue) is \($0.summary.method)" }.joined(separator: ", ")
        throw Fault(
          .badConfiguration, "\(rows), which is not how the adapter was trained", at: piece.folder,
          "train the parts as the adapter did")
      }
      try piece.format.read(piece.folder, into: own, of: self, backend)
      waiting.removeAll { part in own.contains { $0.part == part } }
    }
    if let part = waiting.first {
      throw Fault(
        .badData, "the adapter has nothing for the \(part.rawValue) part", at: path,
        "train the parts as the adapter did")
    }
  }

  /// Writes the adapter whole: a temporary folder beside it, then a rename.
  public func saveAdapter(to path: String, backend: any Backend) throws {
    let temporary = path + ".writing"
    try? FileManager.default.removeItem(atPath: temporary)
    try makeFolder(temporary)
    if let format = adapterFormats.first(where: { $0.holds(working) }) {
      try format.write(working, of: self, to: temporary, backend)
    } else {
      for part in ModelPart.allCases {
        let own = working.filter { $0.part == part }
        guard !own.isEmpty else { continue }
        guard let format = adapterFormats.first(where: { $0.holds(own) }) else {
          preconditionFailure("saveAdapter: no format for \(own.map(\.summary.method))")
        }
        try makeFolder("\(temporary)/\(part.rawValue)")
        try format.write(own, of: self, to: "\(temporary)/\(part.rawValue)", backend)
      }
    }
    try replaceFolder(path, with: temporary)
  }
}
