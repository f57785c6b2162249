import Ground
import Models
import Parallel
import SafeTensors
import Tensors

/// Converted weights that exist once a node: one rank makes the file, all ranks map it, and they share its pages.
public struct SharedWeights {
  private let cache: CacheFolder
  private let communicator: any Communicator
  private let backend: any Backend
  private let note: (String) -> Void

  /// - Parameter note: is told on rank 0 what was made, and why not.
  public init(
    in cache: CacheFolder, _ communicator: any Communicator, _ backend: any Backend, note: @escaping (String) -> Void
  ) {
    self.cache = cache
    self.communicator = communicator
    self.backend = backend
    self.note = note
  }

  /// The file of converted weights, or nil where this rank has to convert them for itself. All ranks call it.
  ///
  /// Rank 0 goes first, so that nodes with a common folder convert once; then the first rank of every node looks
  /// whether the whole file is there for it, and makes it where not.
  public func callAsFunction(_ conversion: WeightConversion) throws -> SafeTensorsFile? {
    var reason = ""
    func attempt<Value>(_ body: () throws -> Value) -> Value? {
      guard !conversion.isEmpty, reason.isEmpty else { return nil }
      do {
        return try body()
      } catch {
        reason = "\(error)"
        return nil
      }
    }
    if communicator.rank == 0, let made = attempt({ try conversion.prepare(in: cache, backend, verifies: false) }),
      made.isNew
    {
      let size = "\((conversion.byteCount + (1 << 20) - 1) >> 20) MiB"
      note("the frozen weights in \(conversion.summary), \(size), are now in \(made.path)")
    }
    _ = try told("")
    var path = ""
    if communicator.localRank == 0, let found = attempt({ try conversion.prepare(in: cache, backend, verifies: true) })
    {
      path = found.path
    }
    let paths = try told(path)
    let shared = paths[communicator.hostRanks[0]]
    let file = attempt { shared.isEmpty ? nil : try conversion.open(shared) } ?? nil
    let reasons = try told(reason)
    if communicator.rank == 0, let first = reasons.firstIndex(where: { !$0.isEmpty }) {
      note(
        "warning: every rank of \(communicator.places[first].host) converts the frozen weights for itself, which takes "
          + "\(conversion.byteCount >> 20) MiB each: \(reasons[first])")
    }
    return file
  }

  /// What each rank says, by rank; a rank may make the others wait for as long as a conversion takes.
  private func told(_ text: String) throws -> [String] {
    let bytes = Array(text.utf8)
    return try communicator.post("conversion of the weights") { try $0.allGather(bytes) }.wait()
      .map { String(decoding: $0, as: UTF8.self) }
  }
}
