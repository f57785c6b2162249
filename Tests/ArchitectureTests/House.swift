import Foundation

/// The rules of the house, which `docs/architecture.md` explains.
enum House {
  /// The floor of each room; a room imports rooms of lower floors only.
  static let floors = [
    "Ground": 0,
    "Compression": 1, "EventFiles": 1, "Features": 1, "Jinja": 1, "Report": 1, "RunFile": 1, "Tensors": 1,
    "Media": 2, "Metrics": 2, "Modules": 2, "SafeTensors": 2, "Tokenizers": 2,
    "Datasets": 3, "Demo": 3, "Models": 3, "Parallel": 3,
    "Adapters": 4, "Batching": 4, "Checkpoints": 4, "Inspection": 4,
    "Evaluation": 5,
    "Training": 6,
    "Study": 7,
    "demo-recipe": 8, "mmdist": 8, "parallel-check": 8,
  ]

  /// The one place of each C module, below all floors: a Swift file, a folder of them, or nil where only C includes it.
  static let doors: [String: String?] = [
    "CJPEGShim": "Media/Picture+JPEG.swift",
    "CJansson": "Ground/JSON.swift",
    "CMPI": nil,  // COpenMPI wraps it: Swift cannot read MPI's macros
    "CMemoryFile": "Parallel/SharedMemory.swift",
    "COniguruma": "Tokenizers/RegularExpression.swift",
    "COpenMPI": "Parallel/MPITransport.swift",
    "CPNGShim": "Media/Picture+PNG.swift",
    "CResample": "Media/Resampling.swift",
    "CXXHash": "Ground/Checksum.swift",
    "CZlib": "Compression/Gzip.swift",
    "CZstd": "Compression/Zstd.swift",
    "Kernels": "Tensors/Backends/CPU/",  // a device is one folder
  ]

  /// Modules of the toolchain and of packages, and the rooms that may import them; nil: every room.
  static let outside: [String: Set<String>?] = [
    "Dispatch": nil, "Foundation": nil, "OrderedCollections": nil, "Synchronization": nil,
    "ArgumentParser": ["mmdist"], "SwiftProtobuf": ["EventFiles"], "Yams": ["RunFile"],
  ]

  /// The most lines of a source file, and the files that may have more, each with its reason.
  static let longestFile = 400
  static let longFiles: [String: String] = [:]
}

/// A source file: its path below `Sources` and its lines.
struct SourceFile {
  let path: String
  let lines: [Substring]

  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    imports = lines.flatMap { $0.split(separator: ";") }.compactMap { SourceFile.imported(by: $0) }
  }

  /// The modules that it imports.
  let imports: [String]
  /// The folder below `Sources` that it lies in.
  var room: String { String(path.prefix { $0 != "/" }) }
  var isSwift: Bool { path.hasSuffix(".swift") }
  /// Lines, the empty one after the last line end not counted.
  var lineCount: Int { lines.last?.isEmpty == true ? lines.count - 1 : lines.count }

  /// The module of an import declaration: attributes, access and kind stand before it, a member may stand behind it.
  private static func imported(by statement: Substring) -> String? {
    let words = statement.split { $0 == " " || $0 == "\t" }
    guard let place = words.firstIndex(of: "import"), place + 1 < words.count else { return nil }
    let access: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
    guard words[..<place].allSatisfy({ $0.hasPrefix("@") || access.contains($0) }) else { return nil }
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
    let name = words[(place + 1)...].first { !kinds.contains($0) }
    return name.map { String($0.prefix { $0 != "." }) }
  }
}

extension House {
  /// What is wrong with the imports of one file, in sentences.
  static func faults(in file: SourceFile) -> [String] {
    guard let floor = floors[file.room] else { return ["\(file.path): '\(file.room)' is no room; give it a floor"] }
    return file.imports.compactMap { module in
      if let door = doors[module] {
        guard let door else { return "\(file.path) imports \(module), which no Swift file may" }
        let isOpen = door.hasSuffix("/") ? file.path.hasPrefix(door) : file.path == door
        return isOpen ? nil : "\(file.path) imports \(module), which only \(door) may"
      }
      if let rooms = outside[module] {
        return rooms?.contains(file.room) ?? true ? nil : "\(file.path) imports \(module), which its room may not"
      }
      guard let other = floors[module] else { return "\(file.path) imports \(module), which is no known module" }
      return other < floor
        ? nil : "\(file.path) on floor \(floor) imports \(module) on floor \(other), which is not below it"
    }
  }
}
