import Datasets
import Ground
import Parallel
import Training

/// The faulty records that a command leaves out, where it is told to.
struct SkippedRecords {
  let faults: [RecordFault]
  /// How many records there are with them.
  let count: Int

  /// Says how many there are.
  func tell(_ communicator: any Communicator, listedIn place: String) {
    guard communicator.rank == 0, !faults.isEmpty else { return }
    writeToStandardError(
      "mmdist: warning: \(faults.count) of \(count) records are faulty and are left out; \(place) lists them\n")
  }

  /// A report whose samples have the numbers that their records have in the files, and `skipped` beside them.
  func entered(in report: JSON) -> JSON {
    guard !faults.isEmpty else { return report }
    let out = Set(faults.map(\.index))
    let kept = (0..<count).filter { !out.contains($0) }
    func renumbered(_ sample: JSON) -> JSON {
      guard let index = sample["index"]?.integer, kept.indices.contains(index) else { return sample }
      return sample.setting("index", to: .integer(kept[index]))
    }
    let report =
      report["samples"]?.array.map {
        report.setting("samples", to: .array($0.map(renumbered)))
      } ?? report
    return report.setting("skipped", to: .array(SkippedFile.entries(faults)))
  }
}
