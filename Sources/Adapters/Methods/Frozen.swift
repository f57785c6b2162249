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

extension TuningMethod where Self == Frozen {
  public static var frozen: Frozen { Frozen() }
}
