import Foundation

/// A failure that a user can act on, told in one line.
///
/// Every room throws this one type. What reaches the terminal is
/// `mmdist: error: WHAT (WHERE): WHAT TO DO`, and ``Kind`` is the exit code.
public struct Fault: Error, Equatable, Sendable {
  /// What sort of failure it is; the raw value is the process's exit code (sysexits).
  public enum Kind: Int32, Sendable {
    case usage = 64
    case badData = 65
    case missingInput = 66
    case internalError = 70
    case cannotWrite = 73
    case inputOutput = 74
    /// Not an error: a requested stop, with a checkpoint written.
    case stopped = 75
    case badConfiguration = 78
  }

  public let kind: Kind
  /// What went wrong, without a full stop.
  public let what: String
  /// The file, `file:line`, key or record that it went wrong in.
  public let place: String?
  /// What the user can do about it.
  public let remedy: String

  public init(_ kind: Kind, _ what: String, at place: String? = nil, _ remedy: String) {
    self.kind = kind
    self.what = what
    self.place = place
    self.remedy = remedy
  }

  /// The same fault, told to have happened at `place`, unless it already names one.
  public func placed(at place: String) -> Fault {
    self.place == nil ? Fault(kind, what, at: place, remedy) : self
  }
}

extension Fault: CustomStringConvertible {
  public var description: String {
    guard let place else { return "\(what): \(remedy)" }
    return "\(what) (\(place)): \(remedy)"
  }
}

extension Fault {
  /// Ends the process with this fault as its last line, where nothing can be thrown.
  public func endProcess() -> Never {
    say("mmdist: error: \(self)\n", on: STDERR_FILENO)
    exit(kind.rawValue)
  }
}
