import ArgumentParser
import Checkpoints
import Foundation
import Ground

struct CheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Says what is in checkpoints, and verifies every byte.",
    subcommands: [List.self, Inspect.self, Verify.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists the checkpoints of a run, oldest first.")
    @Argument(help: "A run's output folder, or its checkpoints folder.") var folder: String

    func run() throws {
      let inner = folder + "/checkpoints"
      let found = try CheckpointFolder.list(
        in: FileManager.default.fileExists(atPath: inner) ? inner : folder)
      if found.isEmpty { throw Fault(.missingInput, "no checkpoint", at: folder, "name a run's output folder") }
      for (step, path) in found {
        do {
          let checkpoint = try Checkpoint(folder: path)
          try checkpoint.checkFiles()
          let bytes = checkpoint.shards.reduce(0) { $0 + $1.byteCount }
          printLine("step \(step)  \(checkpoint.tensors.count) tensors  \(bytes) bytes  \(path)")
        } catch let fault as Fault {
          printLine("step \(step)  damaged: \(fault.what)  \(path)")
        }
      }
    }
  }

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows the header and every tensor.")
    @Argument(help: "A checkpoint.") var folder: String

    func run() throws {
      let checkpoint = try openCheckpoint(folder)
      let header = checkpoint.header
      printLine(
        "step \(header.step)\nconfiguration \(header.configurationHash)\nseeds \(header.seeds)\ndata \(header.dataPosition)"
      )
      for tensor in checkpoint.tensors {
        printLine("\(tensor.description.dtype.rawValue) \(tensor.description.shape) \(tensor.description.name)")
      }
      for shard in checkpoint.shards {
        printLine(
          "\(shard.file): \(shard.byteCount) bytes, \(shard.uncompressedByteCount) uncompressed, xxh3-128 \(shard.checksum)"
        )
      }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Reads every byte; exit code 65 when one is wrong.")
    @Argument(help: "A checkpoint.") var folder: String

    func run() throws {
      let report = try openCheckpoint(folder).verify(progress: { _, _ in })
      for fault in report.faults { writeToStandardError("mmdist: error: \(fault)\n") }
      printLine("\(report.shardCount) shards, \(report.byteCount) bytes, \(report.faults.count) faults")
      if !report.faults.isEmpty { throw ExitCode(Fault.Kind.badData.rawValue) }
    }
  }
}
