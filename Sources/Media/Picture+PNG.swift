import CPNGShim
import Foundation
import Ground

extension Picture {
  /// Decodes a PNG of any kind: alpha is dropped, 16-bit samples give their high byte, gamma is ignored.
  init(decodingPNG bytes: UnsafeRawBufferPointer, at place: String) throws {
    guard let reader = mmdist_png_open(bytes.bindMemory(to: UInt8.self).baseAddress!, bytes.count) else {
      throw Fault(.internalError, "no memory to decode the PNG", at: place, "free memory")
    }
    defer { mmdist_png_close(reader) }
    func check(_ outcome: mmdist_png_outcome) throws {
      switch outcome {
      case MMDIST_PNG_DONE: return
      case MMDIST_PNG_TRUNCATED:
        throw Fault(.badData, "truncated PNG", at: place, "replace the file with a whole one")
      default:
        let reason = String(cString: mmdist_png_reason(reader))
        throw Fault(.badData, "damaged PNG: \(reason)", at: place, "replace the file")
      }
    }
    try check(mmdist_png_read_header(reader))
    let (width, height) = (mmdist_png_width(reader), mmdist_png_height(reader))
    try Picture.checkSize(width: width, height: height, at: place)
    let stored = try Picture(width: width, height: height) {
      try check(mmdist_png_read_pixels(reader, $0.baseAddress!))
    }
    let notes = PNGNotes(
      exif: Picture.note { mmdist_png_exif(reader, $0) },
      rawProfile: Picture.note { mmdist_png_text(reader, "Raw profile type exif", $0) },
      xmp: Picture.note { mmdist_png_text(reader, "XML:com.adobe.xmp", $0) })
    self = stored.turned(Orientation(png: notes))
  }

  private static func note(_ read: (UnsafeMutablePointer<Int>) -> UnsafePointer<UInt8>?) -> [UInt8]? {
    var count = 0
    return read(&count).map { Array(UnsafeBufferPointer(start: $0, count: count)) }
  }

  /// The picture as an 8-bit RGB PNG.
  /// - Throws: `Fault(.internalError)` when there is no memory for it.
  public func encodedPNG() throws -> [UInt8] {
    var bytes: UnsafeMutablePointer<UInt8>?
    var count = 0
    mmdist_png_encode(pixels, width, height, &bytes, &count)
    guard let bytes else {
      throw Fault(.internalError, "cannot write \(width) × \(height) pixels as PNG", "free memory")
    }
    defer { free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}
