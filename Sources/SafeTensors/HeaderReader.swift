import Ground
import OrderedCollections
import Tensors

/// Reads the JSON of a safetensors header, and nothing but that.
///
/// A general JSON reader keeps the last of two equal keys and builds a tree many times larger than the text.
/// Headers come from strangers: here a repeated key is a fault, and memory grows only with the tensors that
/// are really described.
struct HeaderReader {
  struct Record {
    let tensor: TensorDescription
    /// Where the values lie in the data section, as the header claims; not yet checked against the file.
    let begin: Int
    let end: Int
  }

  private let bytes: UnsafeRawBufferPointer
  private let path: String
  private var position = 0

  private(set) var records: [Record] = []
  private(set) var metadata: [String: String] = [:]

  /// - Throws: `Fault(.badData)` that tells the byte of the header at which it stops making sense.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
    self.bytes = bytes
    self.path = path
    try readHeader()
  }

  // MARK: The grammar, outermost first

  private mutating func readHeader() throws {
    var names: Set<String> = []
    try readMembers { reader, name in
      guard names.insert(name).inserted else { throw reader.fault("the key '\(name.prefix(4096))' stands twice") }
      if name == "__metadata__" {
        try reader.readMetadata()
      } else {
        try reader.readRecord(name)
      }
    }
    skipSpace()
    guard position == bytes.count else { throw fault("there is text after the end") }
  }

  private mutating func readMetadata() throws {
    try readMembers { reader, key in
      let value = try reader.readString()
      guard reader.metadata.updateValue(value, forKey: key) == nil else {
        throw reader.fault("the metadata key '\(key.prefix(40))' stands twice")
      }
    }
  }

  private mutating func readRecord(_ name: String) throws {
    // Names and shapes go into messages, which a stranger's file must not blow up.
    guard name.utf8.count <= 4096 else { throw fault("a name is longer than 4096 bytes") }
    var dtype: DType?
    var shape: [Int]?
    var offsets: [Int]?
    try readMembers { reader, key in
      switch key {
      case "dtype" where dtype == nil: dtype = try reader.readDType(of: name)
      case "shape" where shape == nil: shape = try reader.readNaturals()
      case "data_offsets" where offsets == nil: offsets = try reader.readNaturals()
      default: throw reader.fault("tensor '\(name)' has an unknown or repeated key '\(key.prefix(40))'")
      }
    }
    guard let dtype, let shape, let offsets, offsets.count == 2 else {
      throw fault("tensor '\(name)' needs a dtype, a shape and two data_offsets")
    }
    guard shape.count <= 64 else { throw fault("tensor '\(name)' has more than 64 dimensions") }
    let tensor = TensorDescription(name: name, dtype: dtype, shape: shape)
    records.append(Record(tensor: tensor, begin: offsets[0], end: offsets[1]))
  }

  private mutating func readDType(of name: String) throws -> DType {
    let word = try readString()
    if let dtype = DType(rawValue: word) { return dtype }
    let known = DType.allCases.map(\.rawValue).joined(separator: ", ")
    throw Fault(
      .badData, "tensor '\(name)' has elements of type '\(word.prefix(40))', which are not supported", at: path,
      "convert it to one of \(known)")
  }

  /// `{"key": value, …}`; `readValue` reads each value.
  private mutating func readMembers(_ readValue: (inout HeaderReader, String) throws -> Void) throws {
    try expect("{")
    if take("}") { return }
    repeat {
      let key = try readString()
      try expect(":")
      try readValue(&self, key)
    } while take(",")
    try expect("}")
  }

  /// `[n, …]` of integers that are not negative.
  private mutating func readNaturals() throws -> [Int] {
    var values: [Int] = []
    try expect("[")
    if take("]") { return values }
    repeat { values.append(try readNatural()) } while take(",")
    try expect("]")
    return values
  }

  private mutating func readNatural() throws -> Int {
    skipSpace()
    let start = position
    var value = 0
    while let digit = next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit {
      let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, stillTooLarge) = tens.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
      if tooLarge || stillTooLarge { throw fault("a number is too large") }
      value = sum
      position += 1
    }
    let digits = position - start
    guard digits == 1 || digits > 1 && bytes[start] != UInt8(ascii: "0") else {
      throw fault("there should be an integer that is not negative")
    }
    return value
  }

  // MARK: Strings

  private mutating func readString() throws -> String {
    try expect("\"")
    var text: [UInt8] = []
    while let byte = next {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw fault("a string is not UTF-8") }
        return string
      case UInt8(ascii: "\\"): try readEscape(into: &text)
      case 0..<0x20: throw fault("a string holds a control character")
      default: text.append(byte)
      }
    }
    throw fault("a string does not end")
  }

  private mutating func readEscape(into text: inout [UInt8]) throws {
    guard let letter = next else { throw fault("a string does not end") }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var units = [try readUTF16Unit()]
      if UTF16.isLeadSurrogate(units[0]), next == UInt8(ascii: "\\") {
        position += 1
        guard next == UInt8(ascii: "u") else { throw fault("half of a surrogate pair is missing") }
        position += 1
        units.append(try readUTF16Unit())
      }
      guard let string = String(validating: units, as: UTF16.self) else {
        throw fault("half of a surrogate pair is missing")
      }
      text.append(contentsOf: string.utf8)
    default: throw fault("a string has an unknown escape")
    }
  }

  private mutating func readUTF16Unit() throws -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw fault("\\u needs four hexadecimal digits")
      }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }

  // MARK: Single bytes

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || (0x09...0x0D ~= byte && byte != 0x0B && byte != 0x0C) { position += 1 }
  }

  private mutating func take(_ symbol: Unicode.Scalar) -> Bool {
    skipSpace()
    guard next == UInt8(ascii: symbol) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ symbol: Unicode.Scalar) throws {
    guard take(symbol) else { throw fault("there should be '\(symbol)'") }
  }

  private func fault(_ what: String) -> Fault {
    Fault(
      .badData, "not a valid safetensors header, byte \(8 + position): \(what)", at: path,
      "the file is damaged or not a safetensors file: copy or download it again")
  }
}
