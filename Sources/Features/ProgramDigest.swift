import Foundation
import Ground

/// A digest of the code that computes: the executable, and those of the libraries it has loaded whose file names begin
/// with one of `libraries`.
///
/// Another build may round otherwise, another decoder give other pixels.
/// - Throws: `Fault(.inputOutput)` where the system does not say or show what is loaded.
public func programDigest(libraries: [String]) throws -> String {
  let mapped = try readSystemFile("/proc/self/maps").split(separator: "\n").compactMap { line in
    line.firstIndex(of: "/").map { String(line[$0...]) }
  }
  let chosen = Set(mapped).filter { path in
    libraries.contains { (path as NSString).lastPathComponent.hasPrefix($0) }
  }
  let digests = try (["/proc/self/exe"] + chosen.sorted()).map { path in
    guard let content = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) else {
      throw Fault(.inputOutput, "cannot read the program's own code", at: path, "check that it is still there")
    }
    return content.withUnsafeBytes(Checksum.digits)
  }
  return digests.joined(separator: " ")
}
