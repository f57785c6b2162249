import Ground
import SafeTensors
import Tensors

/// The frozen matrices of a model that its files do not hold as they are wanted: of another type, at addresses that are
/// no multiples of their elements, or not as 4-bit codes.
///
/// Each process can convert them for itself, or all map a file that one of them made: `prepare(in:_:verifies:)`.
public struct WeightConversion {
  /// Makes or finds the file of converted weights; nil leaves the conversion to the process itself.
  public typealias Provider = (WeightConversion) throws -> SafeTensorsFile?

  /// How a matrix is wanted.
  enum Form: Equatable {
    case plain(DType)
    case nf4

    var name: String {
      switch self {
      case .plain(let dtype): dtype.rawValue
      case .nf4: "NF4"
      }
    }
  }

  struct Source {
    let name: String
    let file: SafeTensorsFile
    let entry: SafeTensorsFile.Entry
    let bytes: UnsafeRawBufferPointer
    var form = Form.plain(.float32)

    /// Whether it can be used where it lies.
    var isUsable: Bool {
      guard case .plain(let dtype) = form else { return false }
      return entry.dtype == dtype && Int(bitPattern: bytes.baseAddress) % dtype.size == 0
    }

    /// What it becomes in a file.
    var descriptions: [TensorDescription] {
      switch form {
      case .plain(let dtype): [TensorDescription(name: name, dtype: dtype, shape: entry.shape)]
      case .nf4: NF4Weight.descriptions(name, shape: entry.shape)
      }
    }

    var runs: [Run] {
      let count = entry.shape.reduce(1, *)
      return stride(from: 0, to: count, by: WeightConversion.runLength).map { start in
        Run(source: self, elements: start..<min(start + WeightConversion.runLength, count))
      }
    }
  }

  /// Some elements of a weight that follow each other: what is converted and hashed at once.
  struct Run {
    let source: Source
    let elements: Range<Int>

    var stored: UnsafeRawBufferPointer {
      let size = source.entry.dtype.size
      return UnsafeRawBufferPointer(rebasing: source.bytes[elements.lowerBound * size..<elements.upperBound * size])
    }

    func tensor(_ backend: any Backend) -> Tensor {
      backend.adopt(stored, shape: [elements.count], dtype: source.entry.dtype, owner: source.file)
    }
  }

  /// How many elements a run has at most: whole blocks of 4-bit codes.
  static let runLength = 2 << 20

  /// Those that are to be converted, plain ones first: what is widest is aligned best.
  let sources: [Source]

  init(_ sources: [Source]) {
    let needed = sources.filter { !$0.isUsable }
    self.sources = needed.filter { $0.form != .nf4 } + needed.filter { $0.form == .nf4 }
  }

  public var isEmpty: Bool { sources.isEmpty }
  /// What they become: "BF16", "NF4", "BF16 and NF4".
  public var summary: String {
    var names: [String] = []
    for source in sources where !names.contains(source.form.name) { names.append(source.form.name) }
    return names.joined(separator: " and ")
  }
  /// The converted weights, in the order of their file.
  var descriptions: [TensorDescription] { sources.flatMap(\.descriptions) }
  /// What they take.
  public var byteCount: Int { descriptions.reduce(0) { $0 + ($1.byteCount ?? 0) } }

  var runs: [Run] { sources.flatMap(\.runs) }
}

// MARK: Content

extension WeightConversion {
  /// The digits of a conversion's input, whole and by run.
  struct Content {
    /// Of all names, types, shapes and wanted forms, and of every byte.
    let digits: String
    let runs: [String]
  }

  /// Reads all weights once, on all cores.
  func content() -> Content {
    let runs = Checksum.digits(ofEach: runs.map(\.stored))
    for source in sources { source.file.release(source.name) }
    return Content(digits: digits(of: [layout] + runs), runs: runs)
  }

  /// What is to be converted, but for the numbers.
  private var layout: String {
    let weights = sources.map { "\($0.name)\n\($0.entry.dtype.rawValue) \($0.entry.shape) as \($0.form.name)" }
    return ([WeightConversion.format] + weights).joined(separator: "\n")
  }

  /// Digits of this layout and of the identities of all files; nil while a file may still be changing.
  var identityDigits: String? {
    var files: [String: FileIdentity] = [:]
    for source in sources { files[source.file.path] = source.file.identity }
    guard files.allSatisfy({ FileIdentity($0.key) == $0.value && $0.value.isSettled() }) else { return nil }
    let identities = files.values.map {
      "\($0.device) \($0.inode) \($0.byteCount) \($0.modified) \($0.changed)"
    }
    return digits(of: [layout] + identities.sorted())
  }
}

/// Of several texts, each closed by a zero byte.
func digits(of texts: [String]) -> String {
  let checksum = Checksum()
  for text in texts { Array((text + "\0").utf8).withUnsafeBytes(checksum.add) }
  return checksum.digits
}
