import Datasets
import Ground
import OrderedCollections
import Parallel
import RunFile

/// The look at every record before step 1, of which each rank takes a share.
struct DataCheck {
  /// The records to train without, ascending; the same on all ranks.
  let skipped: [RecordFault]
  /// What is to be said of the records.
  let notes: [String]

  /// - Parameter memory: of rank 0: what earlier starts found.
  /// - Throws: on all ranks the first fault in file order, unless it is one to be skipped.
  init(
    _ samples: any SampleSource, _ policy: DataConfiguration.OnError, _ memory: CheckMemory?,
    _ communicator: any Communicator, threads: Int
  ) throws {
    let began = ContinuousClock.now
    let known = memory?.notes().map { JSON.array($0.map(JSON.string)).description } ?? ""
    let told = try communicator.broadcast(Array(known.utf8))
    if !told.isEmpty {
      let notes = try JSON(parsing: String(decoding: told, as: UTF8.self), at: "what was found before")
      skipped = []
      self.notes =
        (notes.array ?? []).compactMap(\.string)
        + ["the \(samples.count) records are as they were when an earlier run looked at them all"]
      return
    }
    skipped = try communicator.agreeOnSuccess {
      let mine = share(of: samples.count, rank: communicator.rank, of: communicator.count)
      let own = samples.faults(in: mine, most: policy == .skip ? .max : 1, threads: threads)
      let text = JSON.array(own.map(\.json)).description
      let faults = try communicator.allGather(Array(text.utf8)).flatMap { bytes in
        try (JSON(parsing: String(decoding: bytes, as: UTF8.self), at: "a rank's faults").array ?? []).map(
          RecordFault.init)
      }
      if let fatal = faults.first(where: { policy == .stop || !$0.fault.isOfTheRecord }) { throw fatal.fault }
      return faults
    }
    var notes = try samples.notes { Int(try communicator.allReduceSum([Double($0)])[0]) }
    if !skipped.isEmpty {
      notes.insert(
        "warning: \(skipped.count) of \(samples.count) records are faulty and are not trained on; "
          + "skipped.jsonl in the output folder lists them", at: 0)
    } else if ContinuousClock.now - began >= .seconds(CheckMemory.leastSeconds) {
      memory?.keep(notes)
    }
    self.notes = notes
  }
}

/// The records that are left out where `data.on_error` says so, after a look at all of them of which each rank takes a
/// share: ascending, the same on all ranks; none where faults are to stop the program when they are met.
/// - Throws: a fault that is none of a record.
public func faultyRecords(
  _ samples: any SampleSource, _ policy: DataConfiguration.OnError, _ communicator: any Communicator, threads: Int
) throws -> [RecordFault] {
  policy == .skip ? try DataCheck(samples, .skip, nil, communicator, threads: threads).skipped : []
}

/// `skipped.jsonl`: one line for each record that a run trains without.
public enum SkippedFile {
  public static let name = "skipped.jsonl"

  /// The lines for the records that a stage leaves out: `{"stage", "index", "place", "reason"}`.
  public static func lines(_ skipped: [RecordFault], stage: String? = nil) -> String {
    entries(skipped, stage: stage).map { $0.description + "\n" }.joined()
  }

  /// The same as objects.
  public static func entries(_ skipped: [RecordFault], stage: String? = nil) -> [JSON] {
    skipped.map { item in
      var line: OrderedDictionary<String, JSON> = [:]
      line["stage"] = stage.map(JSON.string)
      line["index"] = .integer(item.index)
      line["place"] = item.fault.place.map(JSON.string) ?? .null
      line["reason"] = .string(item.fault.what)
      return .object(line)
    }
  }
}

extension RecordFault {
  fileprivate var json: JSON { ["index": .integer(index), "fault": fault.json] }

  fileprivate init(_ json: JSON) throws {
    self.init(index: json["index"]?.integer ?? 0, fault: try Fault(json["fault"] ?? .null))
  }
}
