import Ground

extension PartConfiguration {
  /// Refuses what makes no sense among the keys of bottleneck adapters.
  func validateAdapters(at key: String) throws {
    try require(
      (1e-3...Double(Most.width)).contains(reduction ?? 1), key + "reduction", "is \(reduction ?? 0)",
      "give a number from 0.001 to \(Most.width)")
    try require(scaling?.isFinite ?? true, key + "scaling", "is \(scaling ?? 0)", "give a number")
    try require(
      activation.map(AdapterKind.activations.contains) ?? true, key + "activation", "is \(activation ?? "")",
      "give one of \(AdapterKind.activations.joined(separator: ", "))")
    for (index, name) in ([adapterName] + adapters.map(\.name)).enumerated() {
      try require(
        isAdapterName(name), key + (index == 0 ? "adapter_name" : "adapters.\(index - 1).name"), "is '\(name)'",
        "use letters, digits, - and _")
    }
    for (index, adapter) in adapters.enumerated() {
      try require(!adapter.path.isEmpty, "\(key)adapters.\(index).path", "is missing", "name the adapter's folder")
    }
    try require(
      !fusion || adapters.count > 1, key + "adapters", "has \(adapters.count) to fuse", "name two adapters or more")
  }
}

/// Where a bottleneck adapter stands and what it takes.
public enum AdapterKind: String, CaseIterable, Sendable {
  case houlsby, pfeiffer, parallel

  static let activations = ["gelu", "gelu_new", "quick_gelu", "relu", "silu", "swish"]
}

extension AdapterKind: RunFileChoice {}

/// Whether a name can name a folder and a parameter.
public func isAdapterName(_ name: String) -> Bool {
  !name.isEmpty && name.utf8.count <= 100
    && name.unicodeScalars.allSatisfy {
      $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "-" || $0 == "_")
    }
}

/// A bottleneck adapter that was trained before.
public struct TrainedAdapter: Equatable, Sendable {
  public var name = ""
  public var path = ""

  public init() {}
}

extension TrainedAdapter: Section {
  static let keys: [Key<Self>] = [
    Key("name", \.name, "what it is called here; default: the folder's name"),
    Key("path", path: \.path, "its folder, as the adapters library saves it"),
  ]

  mutating func settle(given: Set<String>) {
    if name.isEmpty { name = path.split(separator: "/").last.map(String.init) ?? "" }
  }
}
