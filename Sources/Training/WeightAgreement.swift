import Adapters
import Ground
import Parallel
import Tensors

/// Ranks that read the same folder at different moments, or copies of it on different hosts, may read different weights:
/// a training's replicas would then stay apart for ever, and an evaluation would be of no model at all.
extension AdaptedModel {
  /// Makes sure that all ranks have the same values of what is trained or came with an adapter. All ranks call it.
  ///
  /// Frozen weights are not looked at: it takes one reading of the others, at some 10 GB/s.
  /// - Parameter place: where they were read.
  /// - Throws: `Fault(.inputOutput)` on every rank, naming the first that differs from rank 0.
  public func requireSameWeights(
    as communicator: any Communicator, at place: String?, _ backend: any Backend
  ) throws {
    try communicator.agree(onWeights: tuned.map { ($0.name, $0.value) }, at: place, backend)
  }
}

extension Communicator {
  /// The same of some tensors, which stand in the same order on all ranks.
  func agree(
    onWeights tensors: @autoclosure () -> [(name: String, value: Tensor)], at place: String?, _ backend: any Backend
  ) throws {
    guard count > 1 else { return }
    let sum = Checksum()
    for (name, value) in tensors() {
      Array("\(name) \(value.dtype) \(value.shape)".utf8).withUnsafeBytes(sum.add)
      backend.withBytes(of: value, sum.add)
    }
    try agree(onRead: Array(sum.digits.utf8), "other weights", at: place)
  }
}
