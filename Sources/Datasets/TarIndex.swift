import Foundation
import Ground

/// The regular files in a tar archive: ustar, pax and GNU long names.
///
/// Nothing is unpacked, so names are only names; sizes are held against the size of the archive before they are used.
struct TarIndex: Sendable {
  struct Member: Equatable, Sendable {
    let name: String
    let offset: UInt64
    let count: Int
  }

  /// The most bytes of a pax header or a long name.
  static let longestHeader = 1 << 20

  private(set) var members: [Member] = []

  /// - Throws: `Fault(.badData)` at `path, byte N` for an archive that is cut short, damaged or of an unknown kind.
  init(_ file: OpenFile) throws {
    let reader = TarReader(file: file)
    var offset: UInt64 = 0
    var next = TarReader.Extension()
    while let header = try reader.header(at: offset) {
      let size = next.size ?? header.size
      let data = offset + 512
      guard size <= reader.size - data else {
        throw reader.fault("the archive is cut short: '\(next.path ?? header.name)' has \(size) bytes", at: offset)
      }
      switch header.type {
      case "x": try reader.readExtension(&next, at: data, count: size)
      case "L": next.path = try reader.longName(at: data, count: size)
      case "g", "K": break
      case "0", "\0", "7":
        guard !next.isSparse else { throw reader.fault("sparse files are not supported", at: offset) }
        members.append(Member(name: next.path ?? header.name, offset: data, count: Int(size)))
        next = .init()
      case "1", "2", "3", "4", "5", "6": next = .init()  // links, devices and folders hold no data
      case "S": throw reader.fault("sparse files are not supported", at: offset)
      default: throw reader.fault("an entry of unknown type '\(header.type)'", at: offset)
      }
      offset = data + (size + 511) / 512 * 512
      if offset > reader.size {
        guard data + size == reader.size else { throw reader.fault("the archive is cut short", at: data) }
        break
      }
    }
  }
}

/// Of each member where it begins, its size and the length of its name, as 8-byte numbers, and the name.
extension TarIndex: KeptIndex {
  var stored: Data {
    members.reduce(into: Data()) { data, member in
      let name = Array(member.name.utf8)
      for number in [member.offset, UInt64(member.count), UInt64(name.count)] {
        withUnsafeBytes(of: number.littleEndian) { data.append(contentsOf: $0) }
      }
      data.append(contentsOf: name)
    }
  }

  init?(stored bytes: UnsafeRawBufferPointer) {
    var (members, place) = ([Member](), 0)
    while place < bytes.count {
      guard bytes.count - place >= 24 else { return nil }
      func number(_ at: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place + 8 * at, as: UInt64.self))
      }
      guard let count = Int(exactly: number(1)), let length = Int(exactly: number(2)),
        length <= bytes.count - place - 24, number(0) < 1 << 62
      else { return nil }
      let offset = number(0)
      place += 24
      guard let name = String(validating: bytes[place..<place + length], as: UTF8.self) else { return nil }
      members.append(Member(name: name, offset: offset, count: count))
      place += length
    }
    self.members = members
  }
}

/// Reads the blocks of a tar archive.
private struct TarReader {
  let file: OpenFile
  var size: UInt64 { file.byteCount }

  struct Header {
    let name: String
    let size: UInt64
    let type: Character
  }

  /// What a pax header says of the entry behind it.
  struct Extension {
    var path: String?
    var size: UInt64?
    var isSparse = false
  }

  func fault(_ what: String, at offset: UInt64) -> Fault {
    Fault(.badData, what, at: "\(file.name), byte \(offset)", "make the archive again")
  }

  /// The header at `offset`; nil at the end of the archive.
  func header(at offset: UInt64) throws -> Header? {
    guard offset < size else { return nil }
    guard size - offset >= 512 else { throw fault("the archive is cut short", at: offset) }
    let block = [UInt8](try file.read(at: offset, count: 512))
    if block.allSatisfy({ $0 == 0 }) { return nil }
    // The checksum counts its own eight bytes as blanks.
    let sum = block.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
    guard let stated = TarReader.number(block[148..<156]), stated == UInt64(sum) else {
      throw fault("not a tar header: its checksum is wrong", at: offset)
    }
    guard let size = TarReader.number(block[124..<136]) else { throw fault("an entry without a size", at: offset) }
    let isUstar = block[257..<262].elementsEqual("ustar".utf8)
    let isGNU = isUstar && block[262] == UInt8(ascii: " ")
    let prefix = isUstar && !isGNU ? TarReader.text(block[345..<500]) : ""
    let name = TarReader.text(block[0..<100])
    return Header(
      name: prefix.isEmpty ? name : "\(prefix)/\(name)", size: size, type: Character(UnicodeScalar(block[156])))
  }

  func longName(at offset: UInt64, count: UInt64) throws -> String {
    guard count <= TarIndex.longestHeader else { throw fault("a name of \(count) bytes", at: offset) }
    return TarReader.text([UInt8](try file.read(at: offset, count: Int(count)))[...])
  }

  /// Lines of the form `27 path=folder/name.jpg\n`, of which the number is the line's length in bytes.
  func readExtension(_ found: inout Extension, at offset: UInt64, count: UInt64) throws {
    guard count <= TarIndex.longestHeader else { throw fault("a pax header of \(count) bytes", at: offset) }
    var rest = [UInt8](try file.read(at: offset, count: Int(count)))[...]
    while let first = rest.first, first != 0 {
      guard let blank = rest.firstIndex(of: 0x20),
        let length = Int(String(decoding: rest[..<blank], as: UTF8.self)), length > blank - rest.startIndex + 1,
        length <= rest.count
      else { throw fault("a damaged pax header", at: offset) }
      let line = rest[(blank + 1)..<(rest.startIndex + length)].dropLast()
      rest = rest[(rest.startIndex + length)...]
      guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { throw fault("a damaged pax header", at: offset) }
      let value = line[line.index(after: equals)...]
      switch String(decoding: line[..<equals], as: UTF8.self) {
      case "path": found.path = String(decoding: value, as: UTF8.self)
      case "size":
        guard let size = UInt64(String(decoding: value, as: UTF8.self)) else {
          throw fault("a damaged pax header", at: offset)
        }
        found.size = size
      case let key where key.hasPrefix("GNU.sparse"): found.isSparse = true
      default: break
      }
    }
  }

  /// A field up to its first zero byte.
  private static func text(_ field: ArraySlice<UInt8>) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// A number in octal digits, or in base 256 where the first bit is set; nil for anything else, or beyond 63 bits.
  private static func number(_ field: ArraySlice<UInt8>) -> UInt64? {
    if let first = field.first, first & 0x80 != 0 {
      guard first == 0x80, field.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else { return nil }
      let value = field.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return value < 1 << 62 ? value : nil
    }
    let digits = String(decoding: field, as: UTF8.self).trimmingCharacters(in: CharacterSet(charactersIn: " \0"))
    return digits.isEmpty ? 0 : UInt64(digits, radix: 8)
  }
}
