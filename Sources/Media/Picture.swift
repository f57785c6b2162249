import Ground

/// A picture of 8-bit RGB pixels.
public struct Picture: Equatable, Sendable {
  public let width: Int
  public let height: Int
  /// `[height, width, 3]`, row by row, each pixel's red, green and blue side by side.
  public var pixels: [UInt8]

  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(
      width > 0 && height > 0 && pixels.count == width * height * 3,
      "Picture: \(pixels.count) bytes for \(width) × \(height) × 3")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// A picture whose every byte `fill` writes.
  init(width: Int, height: Int, filledBy fill: (UnsafeMutableBufferPointer<UInt8>) throws -> Void) rethrows {
    let pixels = try [UInt8](unsafeUninitializedCapacity: width * height * 3) { buffer, written in
      try fill(buffer)
      written = buffer.count
    }
    self.init(width: width, height: height, pixels: pixels)
  }
}

// MARK: Decoding

extension Picture {
  /// The most pixels a file may have, so that a small file cannot fill the memory; Pillow's limit.
  static let mostPixels = 178_956_970
  /// The longest side a file may have, so that tables over a side stay small; libpng's limit.
  static let longestSide = 1_000_000

  /// Decodes a JPEG or PNG file, told apart by its first bytes, and turns it upright as its EXIF orientation says.
  /// - Throws: `Fault(.badData)` when it is damaged, cut off, too large or another format; `place` names the source.
  public init(decoding bytes: UnsafeRawBufferPointer, at place: String) throws {
    switch FileFormat(of: bytes) {
    case .jpeg: self = try Picture(decodingJPEG: bytes, at: place)
    case .png: self = try Picture(decodingPNG: bytes, at: place)
    case .empty: throw Fault(.badData, "the picture file is empty", at: place, "replace the file")
    case .other(let name):
      throw Fault(
        .badData, "\(name) is not a JPEG or PNG", at: place, "convert the picture to JPEG or PNG")
    }
  }

  /// Reads and decodes a file.
  public init(contentsOf path: String) throws {
    self = try readFile(path).withUnsafeBytes { try Picture(decoding: $0, at: path) }
  }

  /// Refuses a picture that is too large before any memory is taken for it.
  static func checkSize(width: Int, height: Int, at place: String) throws {
    guard width > 0, height > 0 else {
      throw Fault(.badData, "the picture has no pixels (\(width) × \(height))", at: place, "replace the file")
    }
    guard max(width, height) <= longestSide, width * height <= mostPixels else {
      throw Fault(
        .badData,
        "the picture is too large: \(width) × \(height) pixels; at most \(mostPixels) are read, \(longestSide) a side",
        at: place,
        "scale the picture down")
    }
  }
}

/// What a file is, by its first bytes.
enum FileFormat: Equatable {
  case jpeg, png, empty
  /// Something that is not decoded; the name is for the message.
  case other(String)

  init(of bytes: UnsafeRawBufferPointer) {
    func begins(_ signature: [UInt8], at offset: Int = 0) -> Bool { bytes.dropFirst(offset).starts(with: signature) }
    func begins(_ text: String, at offset: Int = 0) -> Bool { begins(Array(text.utf8), at: offset) }
    self =
      if bytes.isEmpty { .empty }  //
      else if begins([0xFF, 0xD8, 0xFF]) { .jpeg }  //
      else if begins([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { .png }  //
      else if begins("GIF8") { .other("a GIF file") }  //
      else if begins("RIFF") && begins("WEBP", at: 8) { .other("a WebP file") }  //
      else if begins("BM") { .other("a BMP file") }  //
      else if begins([0x49, 0x49, 0x2A, 0]) || begins([0x4D, 0x4D, 0, 0x2A]) { .other("a TIFF file") }  //
      else if begins("ftypavif", at: 4) { .other("an AVIF file") }  //
      else if begins("ftyp", at: 4) { .other("a HEIC or MP4 file") }  //
      else if begins("%PDF") { .other("a PDF file") }  //
      else if begins("<") { .other("a text file (SVG, HTML or XML)") }  //
      else if begins("version https://git-lfs") { .other("a Git LFS pointer, not the picture itself,") }  //
      else { .other("the file") }
  }
}
