import Foundation
import Ground
import Training

/// Shows a run: one line that is rewritten on a terminal, plain lines in a file.
final class Console: TrainingRun.Audience {
  private let isTerminal = Console.showsTerminal
  private var lastDrawn = 0.0
  private let every: Int
  private var recentSeconds: [Double] = []
  private var lineIsOpen = false

  init(every: Int) { self.every = every }

  func note(_ line: String) {
    closeLine()
    if line.hasPrefix("warning:") { writeToStandardError("mmdist: \(line)\n") } else { printLine(line) }
  }

  func progress(_ report: StepReport, of steps: Int) {
    recentSeconds = recentSeconds.suffix(19) + [report.seconds]
    guard isTerminal || report.step % every == 0 || report.step == steps || report.step == 1 else { return }
    let mean = recentSeconds.reduce(0, +) / Double(recentSeconds.count)
    let line =
      "step \(report.step)/\(steps)  loss \(fixed(report.loss, 4))  grad norm \(fixed(report.gradientNorm, 3))  "
      + "\(Console.speed(report))  ETA \(duration(mean * Double(steps - report.step)))"
    if isTerminal {
      let now = Date().timeIntervalSinceReferenceDate
      guard now - lastDrawn > 0.1 || report.step == steps else { return }
      lastDrawn = now
      say("\r\u{1B}[K" + line, on: STDOUT_FILENO)
      lineIsOpen = true
      if report.step == steps { closeLine() }
    } else {
      printLine(line)
    }
  }

  /// Where the features of whole records are kept, records by second.
  private static func speed(_ report: StepReport) -> String {
    if let tokens = report.tokensPerSecond { return "\(Int(tokens.rounded())) tokens/s" }
    return "\(Int((report.lookupsPerSecond ?? 0).rounded())) records/s"
  }

  /// Whether somebody watches: mpirun gives its ranks a pseudo-terminal even when it writes to a file itself, so
  /// there its own output counts.
  static var showsTerminal: Bool {
    guard isatty(STDOUT_FILENO) == 1 else { return false }
    guard ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_RANK"] != nil else { return true }
    let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(getppid())/fd/1")
    return target.map { $0.hasPrefix("/dev/pts/") || $0.hasPrefix("/dev/tty") } ?? false
  }

  private func closeLine() {
    if lineIsOpen { printLine("") }
    lineIsOpen = false
  }
}

/// A number with `digits` decimals.
func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// "1:02:03" or "2:03"
func duration(_ seconds: Double) -> String {
  guard seconds.isFinite, seconds < 1e9 else { return "-" }
  let whole = Int(seconds.rounded())
  let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
  return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
}
