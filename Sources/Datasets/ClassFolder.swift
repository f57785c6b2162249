import Foundation
import Ground

/// A folder of folders of JPEG and PNG pictures, each named by the label of all that is in it and below it.
///
/// Classes, and the files of a class, come in the order of the UTF-8 bytes of their names. Names that begin with a dot
/// are passed over; other files are left out, and ``note`` says how many.
public struct ClassFolder: LabelledRecords {
  public let path: String
  public let note: String?
  public let labelColumn: String? = "label"
  private let classes: [String]
  /// The paths of all pictures below the folder, and where those of each class begin.
  private let names: [String]
  private let starts: [Int]

  private static let endings: Set<String> = ["jpg", "jpeg", "png"]
  /// Folders in folders, so that links that lead back to themselves come to an end.
  private static let deepest = 16

  /// - Throws: `Fault` for a folder that cannot be read, without classes, or with one that has no picture.
  public init(_ path: String) throws {
    self.path = path
    var (classes, names, starts): ([String], [String], [Int]) = ([], [], [])
    var others: [String] = []
    for entry in try ClassFolder.entries(of: path) {
      guard isFolder(path + "/" + entry) else {
        others.append(entry)
        continue
      }
      classes.append(entry)
      starts.append(names.count)
      try ClassFolder.collect(entry, below: path, depth: 1, &names, &others)
      guard names.count > starts[starts.count - 1] else {
        throw Fault(
          .badData, "the class '\(entry)' has no picture", at: path + "/" + entry,
          "put JPEG or PNG files there, or remove the folder")
      }
    }
    guard !classes.isEmpty else {
      throw Fault(
        .badData, "no class folders", at: path, "put the pictures of each label into a folder named by the label")
    }
    note =
      others.first.map {
        "warning: \(others.count) file\(others.count == 1 ? "" : "s") of '\(path)' left out, as no JPEG or PNG "
          + "in a class folder: \($0)\(others.count == 1 ? "" : ", …")"
      }
    (self.classes, self.names, self.starts) = (classes, names, starts)
  }

  public var count: Int { names.count }
  public var mark: SourceMark { SourceMark(path, count: count, names: names) }

  public func record(_ number: Int, index: Int) throws -> LabelledRecord {
    precondition(names.indices.contains(number), "ClassFolder: picture \(number) of \(count)")
    let label = classes[(starts.firstIndex { $0 > number } ?? starts.count) - 1]
    let picture = path + "/" + names[number]
    return LabelledRecord(images: [.file(picture)], label: .name(label), place: picture, index: index)
  }

  private static func entries(of folder: String) throws -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasPrefix(".") }.sorted {
        $0.utf8.lexicographicallyPrecedes($1.utf8)
      }
    } catch {
      throw Fault(.inputOutput, "cannot read the folder", at: folder, "check its permissions")
    }
  }

  private static func collect(
    _ folder: String, below root: String, depth: Int, _ names: inout [String], _ others: inout [String]
  ) throws {
    guard depth <= deepest else {
      throw Fault(
        .badData, "more than \(deepest) folders in each other", at: root + "/" + folder,
        "remove links that lead back to a folder above")
    }
    for entry in try entries(of: root + "/" + folder) {
      let name = folder + "/" + entry
      if isFolder(root + "/" + name) {
        try collect(name, below: root, depth: depth + 1, &names, &others)
      } else if endings.contains((entry as NSString).pathExtension.lowercased()) {
        names.append(name)
      } else {
        others.append(name)
      }
    }
  }
}
