import CJPEGShim
import Foundation
import Ground

extension Picture {
  /// The most pixels of all scans of a JPEG together: a picture that is as large as may be has 20 scans, twice as many as
  /// progressive ones have.
  static let mostScannedPixels = 20 * mostPixels

  /// Decodes a JPEG with libjpeg's accurate transform and smooth chroma, as Pillow does.
  init(
    decodingJPEG bytes: UnsafeRawBufferPointer, at place: String, mostScannedPixels: Int = Picture.mostScannedPixels
  ) throws {
    self = try Picture.withJPEG(bytes, at: place) { reader, outline in
      let stored = try Picture(width: outline.stored.width, height: outline.stored.height) {
        let outcome = mmdist_jpeg_read_pixels(reader, $0.baseAddress!, UInt64(mostScannedPixels))
        try Picture.check(outcome, reader, at: place)
      }
      return stored.turned(outline.orientation)
    }
  }

  static func outline(ofJPEG bytes: UnsafeRawBufferPointer, at place: String) throws -> PictureOutline {
    try withJPEG(bytes, at: place) { $1 }
  }

  /// Opens a JPEG and reads all before its first scan.
  private static func withJPEG<Result>(
    _ bytes: UnsafeRawBufferPointer, at place: String, _ body: (OpaquePointer, PictureOutline) throws -> Result
  ) throws -> Result {
    guard let reader = mmdist_jpeg_open(bytes.bindMemory(to: UInt8.self).baseAddress!, bytes.count) else {
      throw Fault(.internalError, "no memory to decode the JPEG", at: place, "free memory")
    }
    defer { mmdist_jpeg_close(reader) }
    try check(mmdist_jpeg_read_header(reader), reader, at: place)
    let (width, height) = (mmdist_jpeg_width(reader), mmdist_jpeg_height(reader))
    try checkSize(width: width, height: height, at: place)
    return try body(
      reader,
      PictureOutline(
        stored: PictureSize(height: height, width: width), orientation: Orientation(app1: app1Segments(of: reader))))
  }

  private static func check(_ outcome: mmdist_jpeg_outcome, _ reader: OpaquePointer, at place: String) throws {
    switch outcome {
    case MMDIST_JPEG_DONE: return
    case MMDIST_JPEG_TRUNCATED:
      throw Fault(.badData, "truncated JPEG", at: place, "replace the file with a whole one")
    default:
      let reason = String(cString: mmdist_jpeg_reason(reader))
      throw Fault(.badData, "damaged JPEG: \(reason)", at: place, "replace the file")
    }
  }

  private static func app1Segments(of reader: OpaquePointer) -> [[UInt8]] {
    var segments: [[UInt8]] = []
    var count = 0
    while let bytes = mmdist_jpeg_app1(reader, segments.count, &count) {
      segments.append(Array(UnsafeBufferPointer(start: bytes, count: count)))
    }
    return segments
  }

  /// The picture as a baseline JPEG with halved chroma.
  /// - Parameter quality: 1 (smallest) to 100 (best), libjpeg's scale.
  /// - Throws: `Fault(.badData)` when a side is longer than JPEG allows (65,500).
  public func encodedJPEG(quality: Int) throws -> [UInt8] {
    precondition((1...100).contains(quality), "encodedJPEG: quality \(quality) is not in 1...100")
    var bytes: UnsafeMutablePointer<UInt8>?
    var count = 0
    mmdist_jpeg_encode(pixels, width, height, Int32(quality), &bytes, &count)
    guard let bytes else {
      throw Fault(.badData, "cannot write \(width) × \(height) pixels as JPEG", "make the picture smaller")
    }
    defer { free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}
