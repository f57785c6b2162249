import Ground
import SafeTensors
import Tensors

extension WeightConversion {
  /// Quantises a matrix run by run.
  ///
  /// - Parameters:
  ///   - before: is called with each run before it is read.
  ///   - codes: is given the codes of each run.
  /// - Returns: the magnitudes of all blocks.
  /// - Throws: `Fault(.badData)` where a number is not finite, and what the closures throw.
  static func quantise(
    _ source: Source, _ backend: any Backend, before: (Run) throws -> Void = { _ in }, codes: (Tensor) throws -> Void
  ) throws -> NF4.Scales {
    var magnitudes: [Tensor] = []
    for run in source.runs {
      try before(run)
      let (own, largest) = backend.quantised(run.tensor(backend))
      guard backend.read(largest).allSatisfy(\.isFinite) else {
        throw Fault(
          .badData, "weight '\(source.name)' has numbers that are not finite, which 4 bits cannot hold",
          at: source.file.path, "use sound weights, or leave the part as it is (quantize: none)")
      }
      magnitudes.append(largest.reshaped([largest.count, 1]))
      try codes(own)
    }
    return backend.coded(backend.joinRows(magnitudes))
  }

  /// A matrix as NF4 codes in memory of this process.
  static func quantised(_ source: Source, as dtype: DType, _ backend: any Backend) throws -> Tensor {
    let shape = source.entry.shape
    let codes = backend.empty([NF4.codeBytes(shape.reduce(1, *))], .uint8)
    var reached = 0
    let scales = try quantise(source, backend) { own in
      backend.withBytes(of: own) { backend.overwrite(codes.slice(reached..<reached + own.count), with: $0) }
      reached += own.count
    }
    source.file.release(source.name)
    return Tensor(codes: codes, scales: scales, shape: shape, dtype: dtype)
  }
}
