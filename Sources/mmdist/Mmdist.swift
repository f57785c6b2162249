import ArgumentParser
import Foundation
import Ground

/// The command line: one file a command.
@main
struct Mmdist: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "mmdist",
    abstract: "Fine-tunes multimodal language models on clusters.",
    discussion: """
      Works alone and under mpirun or srun. In an empty folder, `mmdist train` fine-tunes the built-in demo.

        mmdist init demo                      the demo's model, data and run file, to start from
        mpirun -n 8 mmdist train              trains ./mmdist.yaml on eight ranks
        mmdist train -c run.yaml --set train.steps=100
        mmdist generate --model DIR --adapter DIR --image photo.jpg --prompt "What is this?"

      Exit codes: 0 done, 64 usage, 65 bad data, 66 missing input, 70 internal, 73 cannot write, 74 I/O, \
      75 stopped on request with a checkpoint (start again to go on), 78 bad configuration.
      """,
    version: version,
    subcommands: [
      Train.self, Evaluate.self, Embed.self, Generate.self, Similarity.self, Check.self, ReportPage.self, Export.self,
      CheckpointCommand.self, StudyCommand.self, Doctor.self, Compare.self, Drift.self, Matrix.self,
      Bench.self, Init.self,
    ])

  /// Parses and runs; every failure is one line on standard error and an exit code of sysexits.
  static func main() {
    openClosedStandardStreams()
    raiseOpenFileLimit()
    do {
      try checkCommandName()
      var command = try parseAsRoot()
      // What one rank can do is done once: the other ranks have nothing to do.
      if launchedRank > 0, !(command is any ParallelCommand) { Foundation.exit(0) }
      try command.run()
    } catch let fault as Fault {
      fail(fault)
    } catch let code as ExitCode {
      Foundation.exit(code.rawValue)
    } catch {
      let code = exitCode(for: error)
      guard code != .success else {
        if launchedRank == 0 { exit(withError: error) }
        Foundation.exit(0)
      }
      let message = self.message(for: error).split(separator: "\n").joined(separator: " ")
      fail(Fault(.usage, message, "see 'mmdist --help'"))
    }
  }

  /// A command that is not known is told by its own name, with the nearest known one.
  private static func checkCommandName() throws {
    let names = configuration.subcommands.map { $0._commandName } + ["help"]
    guard let typed = CommandLine.arguments.dropFirst().first, !typed.hasPrefix("-"), !names.contains(typed) else {
      return
    }
    throw Fault(.usage, "unknown command '\(typed)'\(didYouMean(typed, among: names))", "see 'mmdist --help'")
  }

  /// Ends the process with one line for the whole job: of ranks that fail alike before they can talk, the first tells.
  private static func fail(_ fault: Fault) -> Never {
    if launchedRank == 0 { fault.endProcess() }
    // A launcher ends all ranks as soon as one has failed: the first gets the time to tell, also where it starts late.
    Thread.sleep(forTimeInterval: 5)
    Foundation.exit(fault.kind.rawValue)
  }

  /// The rank that the launcher gave this process, known before the ranks can talk; 0 without a launcher.
  private static var launchedRank: Int {
    let environment = ProcessInfo.processInfo.environment
    return ["OMPI_COMM_WORLD_RANK", "PMIX_RANK"].lazy.compactMap { environment[$0].flatMap { Int($0) } }.first ?? 0
  }
}

/// A command in which all ranks of a job take part; any other is done by the first rank alone.
protocol ParallelCommand: ParsableCommand {}

/// Writes a line at once, so that what watches a file or a pipe sees it.
func printLine(_ line: String) {
  say(line + "\n", on: STDOUT_FILENO)
}

func writeToStandardError(_ text: String) {
  say(text, on: STDERR_FILENO)
}
