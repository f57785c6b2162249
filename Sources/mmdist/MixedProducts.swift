import Ground
import Parallel
import Tensors

/// A line for where ranks do not all multiply in the same way; nil where they do. All ranks have to call it.
func warningOfMixedProducts(_ backend: CPUBackend, _ communicator: any Communicator) throws -> String? {
  let own = ([backend.products] + ProductKernels.available).map { "\($0)" }
  let all = try communicator.allGather(Array(own.joined(separator: " ").utf8)).map { bytes in
    let names = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    return names.compactMap { name in ProductKernels.allCases.first { "\($0)" == name } }
  }
  return ProductKernels.difference(chosen: all.compactMap(\.first), available: all.map { Array($0.dropFirst()) })
    .map { "warning: " + $0 }
}
