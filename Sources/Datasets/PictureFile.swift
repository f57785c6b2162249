import Foundation
import Ground
import Media

/// A picture's file, read but not decoded.
struct PictureFile {
  /// What it is called in messages.
  let name: String
  private let bytes: Data

  /// - Throws: `Fault` that names the file.
  init(_ location: ImageLocation) throws {
    name = location.name
    bytes = try location.read()
  }

  var digest: String { bytes.withUnsafeBytes(Checksum.digits) }

  /// - Throws: `Fault(.badData)` that names the file.
  func picture() throws -> Picture { try bytes.withUnsafeBytes { try Picture(decoding: $0, at: name) } }

  /// - Throws: `Fault(.badData)` that names the file.
  func outline() throws -> PictureOutline { try bytes.withUnsafeBytes { try PictureOutline(of: $0, at: name) } }
}
