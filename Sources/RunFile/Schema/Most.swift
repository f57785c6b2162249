/// The most that some numbers of a run may be: far more than a run needs, and little enough that products of them can be
/// counted.
public enum Most {
  /// Steps of a run, and samples of a batch.
  static let steps = 1_000_000_000
  /// Passes over the data.
  static let epochs = 1e6
  /// Ranks and widths of what is added to a model.
  static let width = 1 << 20
  /// Held-out records of a look while training.
  static let records = 1 << 20
  /// Tokens of an answer.
  public static let tokens = 1 << 20
}
