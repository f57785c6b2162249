import Ground
import XCTest

@testable import Media

final class DecodingTests: XCTestCase {
  func testEveryPictureHasTheReferencesBytes() throws {
    for item in try Fixtures.expected("decode") {
      let name = try XCTUnwrap(item["file"]?.string)
      let picture = try Fixtures.picture(name)
      XCTAssertEqual(picture.width, item["width"]?.integer, name)
      XCTAssertEqual(picture.height, item["height"]?.integer, name)
      XCTAssertEqual(sum(picture.pixels), item["sum"]?.string, name)
    }
  }

  func testStoredBytes() throws {
    for name in ["rgb-420", "cmyk"] {
      XCTAssertEqual(try Fixtures.picture(name + ".jpg").pixels, try Fixtures.bytes(name + ".rgb"), name)
    }
  }

  func testTheOtherFormatsAreNamed() throws {
    for (bytes, name) in [
      (Array("GIF89a".utf8), "a GIF file"), (Array("RIFF\0\0\0\0WEBPVP8 ".utf8), "a WebP file"),
      (Array("BM12345".utf8), "a BMP file"), ([0x49, 0x49, 0x2A, 0, 8], "a TIFF file"),
      ([0x4D, 0x4D, 0, 0x2A, 0], "a TIFF file"), (Array("\0\0\0\u{18}ftypheic".utf8), "a HEIC or MP4 file"),
      (Array("\0\0\0\u{18}ftypavif".utf8), "an AVIF file"), (Array("%PDF-1.7".utf8), "a PDF file"),
      (Array("version https://git-lfs.github.com/spec/v1".utf8), "a Git LFS pointer, not the picture itself,"),
      (Array("hello".utf8), "the file"), ([0xFF], "the file"), ([0x89, 0x50], "the file"),
    ] as [([UInt8], String)] {
      let thrown = fault { try Picture(decoding: bytes) }
      XCTAssertEqual(thrown?.kind, .badData)
      XCTAssertEqual(thrown?.what, "\(name) is not a JPEG or PNG")
      XCTAssertEqual(thrown?.place, "here")
    }
    XCTAssertEqual(fault { try Picture(decoding: []) }?.what, "the picture file is empty")
  }

  func testAMissingFileIsMissingInput() {
    XCTAssertEqual(fault { try Fixtures.picture("nowhere.jpg") }?.kind, .missingInput)
  }

  // MARK: Cut off and damaged

  func testEveryCutOfAJPEGIsTruncated() throws {
    for name in ["rgb-422.jpg", "rgb-progressive.jpg", "rgb-restarts.jpg", "grey.jpg", "turned-xmp.jpg"] {
      let bytes = try Fixtures.bytes(name)
      for count in 3..<bytes.count {
        let thrown = fault { try Picture(decoding: Array(bytes.prefix(count))) }
        XCTAssertEqual(thrown?.kind, .badData, "\(name), \(count) of \(bytes.count) bytes")
        XCTAssertEqual(thrown?.what, "truncated JPEG", "\(name), \(count) of \(bytes.count) bytes")
      }
    }
  }

  /// All pixels of a PNG are there when only its end mark (12 bytes) is missing, and then the reference opens it.
  func testEveryCutOfAPNGIsTruncatedUpToItsEndMark() throws {
    for name in ["rgb-8.png", "palette-4-interlaced.png", "grey-1.png", "turned-text.png"] {
      let bytes = try Fixtures.bytes(name)
      let whole = try Picture(decoding: bytes)
      for count in 8..<bytes.count - 12 {
        let thrown = fault { try Picture(decoding: Array(bytes.prefix(count))) }
        XCTAssertEqual(thrown?.what, "truncated PNG", "\(name), \(count) of \(bytes.count) bytes")
      }
      for count in bytes.count - 12..<bytes.count {
        XCTAssertEqual(try Picture(decoding: Array(bytes.prefix(count))), whole)
      }
    }
  }

  /// Damage gives a fault or a picture, and nothing else.
  func testFlippedBitsNeverCrash() throws {
    var faults = 0
    var pictures = 0
    for name in [
      "rgb-420.jpg", "rgb-progressive.jpg", "cmyk.jpg", "turned-6.jpg", "rgb-8.png", "palette-2-interlaced.png",
      "grey-alpha-16.png", "turned-text.png", "turned-exif.png",
    ] {
      let bytes = try Fixtures.bytes(name)
      for position in 0..<bytes.count * 8 where position % 3 == 0 {
        var damaged = bytes
        damaged[position / 8] ^= 1 << UInt8(position % 8)
        do {
          let picture = try Picture(decoding: damaged)
          XCTAssertEqual(picture.pixels.count, picture.width * picture.height * 3)
          pictures += 1
        } catch let thrown as Fault {
          XCTAssertEqual(thrown.kind, .badData, "\(thrown)")
          XCTAssertEqual(thrown.place, "here")
          faults += 1
        }
      }
    }
    XCTAssertGreaterThan(faults, 1000)
    XCTAssertGreaterThan(pictures, 1000)
  }

  func testAWrongChecksumIsDamage() throws {
    var bytes = try Fixtures.bytes("rgb-8.png")
    bytes[29] ^= 1  // of the header
    XCTAssertEqual(fault { try Picture(decoding: bytes) }?.what, "damaged PNG: IHDR: CRC error")
  }

  // MARK: Too large

  func testALyingJPEGHeaderTakesNoMemory() throws {
    var bytes = try Fixtures.bytes("rgb-420.jpg")
    let frame = try XCTUnwrap(bytes.indices.first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
    bytes.replaceSubrange(frame + 5..<frame + 9, with: [0xF0, 0, 0xF0, 0])
    XCTAssertEqual(
      fault { try Picture(decoding: bytes) }?.what,
      "the picture is too large: 61440 × 61440 pixels; at most 178956970 are read, 1000000 a side")
  }

  func testALyingPNGHeaderTakesNoMemory() throws {
    // The header's checksum is that of 2147483647 × 2147483647, 8-bit RGB.
    let header: [UInt8] = [
      0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF,
      0xFF, 0xFF, 8, 2, 0, 0, 0,
    ]
    let bytes = header + [0, 0, 0, 0]
    let what = try XCTUnwrap(fault { try Picture(decoding: header + crc(header[12...]) + emptyData) }).what
    XCTAssertEqual(
      what, "the picture is too large: 2147483647 × 2147483647 pixels; at most 178956970 are read, 1000000 a side")
    XCTAssertEqual(fault { try Picture(decoding: bytes) }?.what, "damaged PNG: IHDR: CRC error")
  }

  func testTheLimitIsThePixelCount() throws {
    XCTAssertNoThrow(try Picture.checkSize(width: 178_956, height: 1000, at: "x"))
    XCTAssertThrowsError(try Picture.checkSize(width: 178_957, height: 1000, at: "x"))
    XCTAssertThrowsError(try Picture.checkSize(width: .max, height: 2, at: "x"))
    XCTAssertNoThrow(try Picture.checkSize(width: 1, height: 1_000_000, at: "x"))
    XCTAssertThrowsError(try Picture.checkSize(width: 1, height: 1_000_001, at: "x"))
    XCTAssertThrowsError(try Picture.checkSize(width: 0, height: 2, at: "x"))
  }

  /// Each scan of a progressive picture goes over all of its pixels.
  func testTheScansOfAPictureAreBounded() throws {
    let bytes = try Fixtures.bytes("rgb-progressive.jpg")
    let whole = try Picture(decoding: bytes)
    let pixels = 10 * whole.width * whole.height  // it has 10 scans
    func decoded(_ most: Int) throws -> Picture {
      try bytes.withUnsafeBytes { try Picture(decodingJPEG: $0, at: "here", mostScannedPixels: most) }
    }
    XCTAssertEqual(try decoded(pixels), whole)
    XCTAssertEqual(fault { try decoded(pixels - 1) }?.what, "damaged JPEG: 10 scans are too many")
    XCTAssertGreaterThan(Picture.mostScannedPixels, 10 * Picture.mostPixels)
  }

  /// An IDAT chunk without content.
  private var emptyData: [UInt8] { [0, 0, 0, 0, 0x49, 0x44, 0x41, 0x54] + crc([0x49, 0x44, 0x41, 0x54]) }

  private func crc(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    var value: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
    return withUnsafeBytes(of: (~value).bigEndian, Array.init)
  }

  // MARK: Encoding

  func testPNGGivesTheSamePixelsBack() throws {
    for (width, height) in [(1, 1), (31, 17), (200, 3)] {
      let picture = Picture.scene(width: width, height: height)
      XCTAssertEqual(try Picture(decoding: picture.encodedPNG()), picture)
    }
  }

  func testJPEGIsNearAndNearerWithQuality() throws {
    let picture = try Fixtures.picture("scene.png")
    var errors: [Double] = []
    for quality in [10, 50, 98] {
      let back = try Picture(decoding: picture.encodedJPEG(quality: quality))
      XCTAssertEqual(back.width, picture.width)
      let squares = zip(back.pixels, picture.pixels).map { (Double($0) - Double($1)) * (Double($0) - Double($1)) }
      errors.append((squares.reduce(0, +) / Double(squares.count)).squareRoot())
    }
    XCTAssertEqual(errors, errors.sorted(by: >))
    XCTAssertLessThan(errors[0], 40)
    XCTAssertGreaterThan(errors[0], errors[2] + 3)
  }

  func testAPictureTooLongForJPEG() {
    let picture = Picture(width: 70_000, height: 1, pixels: [UInt8](repeating: 9, count: 210_000))
    XCTAssertEqual(fault { try picture.encodedJPEG(quality: 90) }?.kind, .badData)
  }
}
