import Foundation
import Ground
import Media

extension Processor {
  /// What can be seen wrong with a record early: its tokens, and whether its pictures are whole.
  ///
  /// A picture is decoded only where its last bytes do not end it, as those of a truncated file do not.
  /// - Throws: `Fault` with `file:line`.
  public func check(_ record: Record) throws {
    try encode(record)
    do {
      for image in record.images { try image.check(decodes: false, for: vision?.processor) }
    } catch let fault as Fault {
      throw fault.relocated(to: record.place)
    }
  }
}

extension ImageLocation {
  /// What can be seen wrong with a picture early.
  /// - Parameters:
  ///   - decodes: false: it is decoded only where its last bytes do not end it.
  ///   - processor: what is to take the picture, which must not be too large for it.
  /// - Throws: `Fault` for a file that is missing or damaged.
  func check(decodes: Bool, for processor: ImageProcessor?) throws {
    try check()
    if try decodes || !looksWhole() {
      let picture = try picture()
      try processor?.check(height: picture.height, width: picture.width, at: name)
    } else if let processor, processor.padsToSquare {
      let size = try storedSize()
      try processor.check(height: size.height, width: size.width, at: name)
    }
  }

  /// The size of the picture, not turned upright; only the beginning of its file is read where that tells it.
  private func storedSize() throws -> PictureSize {
    if let start = try beginning(4096), let size = try? start.withUnsafeBytes({ try PictureOutline(of: $0, at: name) })
    {
      return size.stored
    }
    return try read().withUnsafeBytes { try PictureOutline(of: $0, at: name) }.stored
  }
}

extension Pixels {
  /// What an image processor makes of a picture file with these bytes.
  /// - Throws: `Fault` at `path`, which names the picture, for one that cannot be decoded or is too large.
  init(_ file: Data, at path: String, _ processor: ImageProcessor) throws {
    let picture = try file.withUnsafeBytes { try Picture(decoding: $0, at: path) }
    try self.init(picture, processor, at: path)
  }
}
