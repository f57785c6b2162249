import Ground
import Kernels

extension CPUBackend {
  /// The kernels of products, and the features of the processor that all other kernels are chosen by.
  public var arithmetic: String { "CPU, products \(multiplier), \(CPUBackend.processor)" }

  /// The lines of `/proc/cpuinfo` that name the kind of the first processor and what it can do.
  private static var processor: String {
    let kinds: Set<Substring> = [
      "vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU variant", "CPU part", "Features",
    ]
    let text = (try? readSystemFile("/proc/cpuinfo")) ?? ""
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.isEmpty }
    return lines.filter { line in kinds.contains(line.prefix { $0 != "\t" && $0 != ":" }) }.joined(separator: ", ")
  }
}
