import Foundation
import Ground
import Kernels

/// What multiplies on a processor.
public enum ProductKernels: String, Sendable, CaseIterable {
  /// The program's own kernels, bf16 on the tiles of Intel's AMX.
  case amx = "AVX-512, bf16 by AMX"
  /// The program's own kernels, bf16 by the processor's instruction.
  case avx512BF16 = "AVX-512, bf16 by AVX512-BF16"
  /// The program's own kernels, bf16 widened to f32.
  case avx512 = "AVX-512, bf16 widened to f32"
  /// The program's own kernels on narrower registers; the same bits as with `avx512`.
  case avx2 = "AVX2, bf16 widened to f32"
  /// OpenBLAS, bf16 widened to f32.
  case openBLAS = "OpenBLAS, bf16 widened to f32"

  /// Those that this processor can run, the fastest first.
  public static var available: [ProductKernels] {
    allCases.filter {
      switch $0 {
      case .amx: mmd_has_amx()
      case .avx512BF16: mmd_has_bf16()
      case .avx512: mmd_has_avx512()
      case .avx2: mmd_has_avx2()
      case .openBLAS: true
      }
    }
  }

  /// The fastest one, or the one that the environment asks for.
  static func chosen(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> ProductKernels {
    guard let name = environment["MMDIST_PRODUCTS"], !name.isEmpty else { return available[0] }
    guard let kernels = available.first(where: { "\($0)" == name }) else {
      throw Fault(
        .badConfiguration, "'\(name)' is not what this processor can multiply with", at: "MMDIST_PRODUCTS",
        "choose one of \(available.map { "\($0)" }.joined(separator: ", "))")
    }
    return kernels
  }

  /// Whether bf16 numbers are multiplied as such; otherwise they are widened.
  public var multipliesBFloat16: Bool { self == .amx || self == .avx512BF16 }

  var kernel: mmd_product {
    switch self {
    case .amx: mmd_product_amx
    case .avx512BF16, .avx512: mmd_product_avx512
    case .avx2: mmd_product_avx2
    case .openBLAS: mmd_product_openblas
    }
  }
}

extension ProductKernels {
  /// What is to be said where products do not have the same bits on all ranks of a run: their nodes have other
  /// processors, or they another environment. Nil where they do.
  /// - Parameters:
  ///   - chosen: what each rank multiplies with.
  ///   - available: what each rank could multiply with.
  public static func difference(chosen: [ProductKernels], available: [[ProductKernels]]) -> String? {
    let ways = allCases.filter(chosen.contains).map { way in "\(chosen.count { $0 == way }) with \(way.rawValue)" }
    let alike = Set(chosen.map { $0 == .avx2 ? .avx512 : $0 })
    guard alike.count > 1 else { return nil }
    let bits = chosen.contains(.openBLAS) ? "bits" : "bits in bfloat16"
    let common = allCases.first { way in available.allSatisfy { $0.contains(way) } } ?? .openBLAS
    return "ranks multiply in different ways, \(ways.joined(separator: " and ")), so that \(bits) depend on which of "
      + "them computes what; MMDIST_PRODUCTS=\(common) on all makes their products alike"
  }
}
