import Ground
import SafeTensors
import Tensors

/// The frozen matrices of a model that its files do not hold as they are wanted: of another type, or at addresses
/// that are no multiples of their elements.
///
/// Each process can convert them for itself, or all map a file that one of them made: `prepare(in:_:verifies:)`.
public struct WeightConversion {
  /// Makes or finds the file of converted weights; nil leaves the conversion to the process itself.
  public typealias Provider = (WeightConversion) throws -> SafeTensorsFile?

  struct Source {
    let name: String
    let file: SafeTensorsFile
    let entry: SafeTensorsFile.Entry
    let bytes: UnsafeRawBufferPointer

    /// Whether it can be used where it lies.
    func isUsable(as dtype: DType) -> Bool {
      entry.dtype == dtype && Int(bitPattern: bytes.baseAddress) % dtype.size == 0
    }
  }

  /// Some elements of a weight that follow each other: what is converted and hashed at once.
  struct Run {
    let source: Source
    let elements: Range<Int>

    /// Their bytes among those of the whole weight, whose elements have `size` bytes each.
    func bytes(in weight: UnsafeRawBufferPointer, size: Int) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(rebasing: weight[elements.lowerBound * size..<elements.upperBound * size])
    }

    var stored: UnsafeRawBufferPointer { bytes(in: source.bytes, size: source.entry.dtype.size) }
  }

  /// How many elements a run has at most.
  static let runLength = 2 << 20

  public let target: DType
  let sources: [Source]

  init(_ sources: [Source], to target: DType) {
    self.target = target
    self.sources = sources.filter { !$0.isUsable(as: target) }
  }

  public var isEmpty: Bool { sources.isEmpty }
  /// The converted weights, in the order of their file.
  var descriptions: [TensorDescription] {
    sources.map { TensorDescription(name: $0.name, dtype: target, shape: $0.entry.shape) }
  }
  /// What they take.
  public var byteCount: Int { descriptions.reduce(0) { $0 + ($1.byteCount ?? 0) } }

  var runs: [Run] {
    sources.flatMap { source in
      let count = source.entry.shape.reduce(1, *)
      return stride(from: 0, to: count, by: WeightConversion.runLength).map { start in
        Run(source: source, elements: start..<min(start + WeightConversion.runLength, count))
      }
    }
  }

  /// The converted elements of a run.
  func converted(_ run: Run, _ backend: any Backend) -> Tensor {
    let stored = backend.adopt(
      run.stored, shape: [run.elements.count], dtype: run.source.entry.dtype, owner: run.source.file)
    return backend.cast(stored, to: target)
  }
}

// MARK: Content

extension WeightConversion {
  /// The digits of a conversion's input, whole and by run.
  struct Content {
    /// Of the target, of all names, types and shapes, and of every byte.
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
    let weights = sources.map { "\($0.name)\n\($0.entry.dtype.rawValue) \($0.entry.shape)" }
    return ([WeightConversion.format, target.rawValue] + weights).joined(separator: "\n")
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
