import Ground
import Tensors
import Training

/// What `bench` found: the same figures as a table and as JSON.
struct BenchReport {
  let backend: String
  let ranks: Int
  let threads: Int
  /// Cores that a rank may run on.
  let cores: Int
  let machine: MachineMeasurement
  /// What was trained, and the step whose time is the median; nil where no step was asked for.
  let training: (name: String, steps: Int, step: StepMeasurement)?

  /// Seconds that the matrix work of a step would take at the rates measured in the same sitting.
  private func matrixSecondsAtRate(_ step: StepMeasurement) -> Double {
    step.operations.float32 / machine.productRate(.float32) + step.operations.bfloat16 / machine.productRate(.bfloat16)
  }

  // MARK: Table

  var table: String { (machineTable + trainingTable).joined(separator: "\n") }

  private var machineTable: [String] {
    let shape = MachineMeasurement.productShape
    let counts = machine.copies.map(\.threads)
    var rows = [
      [ranks == 1 ? "the machine" : "a rank, all \(ranks) at once"] + counts.map { "\($0) thread\($0 == 1 ? "" : "s")" }
        + [""]
    ]
    for type in [DType.float32, .bfloat16] {
      rows.append(
        ["product \(shape.rows) × \(shape.inputs) → \(shape.outputs), \(type.name)"]
          + machine.products.filter { $0.type == type }.map { fixed($0.rate, 0) } + ["GFLOP/s"])
    }
    rows.append(
      ["copy of \(machine.copiedBytes >> 20) MiB, read and written"] + machine.copies.map { fixed($0.rate, 1) } + [
        "GB/s"
      ])
    guard ranks > 1 else {
      return aligned(rows) + ["", "  sum over ranks: one rank has none; measure it under mpirun"]
    }
    var sums = [["sum over \(ranks) ranks", "ms", "GB/s"]]
    for sum in machine.reductions {
      let size = sum.bytes >= 1 << 20 ? "\(sum.bytes >> 20) MiB" : "\(sum.bytes >> 10) KiB"
      sums.append([
        size + (sum.isOrdered ? ", in fixed order" : ", MPI's all-reduce"), fixed(sum.seconds * 1e3, 2),
        fixed(sum.rate, 2),
      ])
    }
    return aligned(rows) + [""] + aligned(sums)
  }

  private var trainingTable: [String] {
    guard let (name, steps, step) = training else { return ["", "  no step was asked for"] }
    var rows = [["a step of \(name), the median of \(steps)", "ms", "share"]]
    let times = zip(StepMeasurement.phases, step.phaseSeconds).map { ($0.0.benchName, $0.1) }
    for (part, seconds) in times + [("other", step.otherSeconds), ("step", step.seconds)] {
      rows.append([part, fixed(seconds * 1e3, 1), fixed(100 * seconds / step.seconds, 1) + " %"])
    }
    let operations = step.operations
    let figures = [
      ["tokens/s", fixed(Double(step.tokens) / step.seconds, 1)],
      ["matrix work a rank, GFLOP", fixed(step.allOperations * 1e-9, 2)],
      ["  of it in float32", fixed(operations.float32 * 1e-9, 2)],
      ["  of it in bfloat16", fixed(operations.bfloat16 * 1e-9, 2)],
      ["  over the whole step, GFLOP/s", fixed(step.allOperations / step.seconds * 1e-9, 1)],
      ["  over the time in it, GFLOP/s", fixed(step.allOperations / max(step.matrixSeconds, 1e-12) * 1e-9, 1)],
    ]
    let share = fixed(100 * matrixSecondsAtRate(step) / step.seconds, 1)
    return [""] + aligned(rows) + [""] + aligned(figures)
      + ["", "  matrix work at the measured rate: \(share) % of the step"]
  }

  // MARK: JSON

  var json: JSON {
    let shape = MachineMeasurement.productShape
    return [
      "version": .string(Mmdist.version), "backend": .string(backend), "ranks": .integer(ranks),
      "threads": .integer(threads), "cores": .integer(cores),
      "machine": [
        "products": .array(
          machine.products.map {
            [
              "type": .string($0.type.name), "threads": .integer($0.threads),
              "shape": [.integer(shape.rows), .integer(shape.inputs), .integer(shape.outputs)],
              "flop_per_second": .number($0.rate * 1e9),
            ]
          }),
        "copies": .array(
          machine.copies.map {
            [
              "threads": .integer($0.threads), "bytes": .integer(machine.copiedBytes),
              "bytes_per_second": .number($0.rate * 1e9),
            ]
          }),
        "sums": .array(
          machine.reductions.map {
            [
              "bytes": .integer($0.bytes), "fixed_order": .bool($0.isOrdered), "seconds": .number($0.seconds),
              "bytes_per_second": .number($0.rate * 1e9),
            ]
          }),
      ],
      "step": training.map(json) ?? .null,
    ]
  }

  private func json(_ name: String, _ steps: Int, _ step: StepMeasurement) -> JSON {
    var parts: [(String, JSON)] = zip(StepMeasurement.phases, step.phaseSeconds).map { ($0.0.key, .number($0.1)) }
    parts.append(("other", .number(step.otherSeconds)))
    return [
      "run": .string(name), "steps": .integer(steps), "seconds": .number(step.seconds),
      "parts": .object(.init(uniqueKeysWithValues: parts)), "tokens": .integer(step.tokens),
      "tokens_per_second": .number(Double(step.tokens) / step.seconds),
      "matrix_work": [
        "flop": .number(step.allOperations),
        "flop_by_type": ["float32": .number(step.operations.float32), "bfloat16": .number(step.operations.bfloat16)],
        "flop_per_second": .number(step.allOperations / step.seconds), "seconds": .number(step.matrixSeconds),
        "seconds_at_measured_rate": .number(matrixSecondsAtRate(step)),
        "share_of_step": .number(matrixSecondsAtRate(step) / step.seconds),
      ],
    ]
  }
}

extension DType {
  /// As the run file calls it.
  fileprivate var name: String { self == .bfloat16 ? "bfloat16" : "float32" }
}

extension StepPhase {
  fileprivate var benchName: String { self == .communication ? "communication exposed" : rawValue }

  /// The part's key in the report.
  fileprivate var key: String {
    switch self {
    case .data: "data"
    case .forward: "forward"
    case .loss: "loss"
    case .backward: "backward"
    case .lookAhead: "look_ahead"
    case .communication: "communication"
    case .optimizer: "optimizer"
    case .checkpoint: "checkpoint"
    }
  }
}
