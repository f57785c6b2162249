import Batching
import Datasets
import Ground
import Models
import RunFile
import Tensors

extension RunConfiguration {
  /// What keeps the features of pictures; nil where the run file asks for nothing or features change.
  ///
  /// - Precondition: the model's parameters have their values.
  /// - Parameter note: told why nothing is kept where it should be; the run goes on without.
  public func featureCache(
    for model: MultimodalModel, _ processor: Processor, _ backend: any Backend, note: (String) -> Void
  ) -> FeatureCache? {
    guard cache.features != .off else { return nil }
    let folder = CacheFolder(cache.folder ?? CacheFolder.standardPath(), limit: cache.folderLimit)
    do {
      return try FeatureCache(
        model, processor, memory: cache.memoryLimit, folder: cache.features == .disk ? folder : nil, backend)
    } catch {
      note("warning: features of pictures are not kept: \(error)")
      return nil
    }
  }
}
