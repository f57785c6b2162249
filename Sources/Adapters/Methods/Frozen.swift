import Models
import Modules

/// Nothing of a part is trained.
public struct Frozen: TuningMethod {
  public init() {}

  public func tuning(of part: ModelPart) -> any Tuning { Work(part: part) }

  private struct Work: Tuning {
    let part: ModelPart
    let summary = (method: "frozen", what: "-")
  }
}

/// A part that came whole with an adapter and is left as it came: what is written has to hold it again.
struct Carried: Tuning {
  let part: ModelPart
  let trainsModules = true
  let summary = (method: "frozen", what: "as the adapter has it")
}

extension TuningMethod where Self == Frozen {
  public static var frozen: Frozen { Frozen() }
}
