import Kernels

extension CPUBackend {
  public func quantised(_ x: Tensor) -> (codes: Tensor, magnitudes: Tensor) {
    let (codes, magnitudes) = (empty([NF4.codeBytes(x.count)], .uint8), floats([NF4.blocks(x.count)]))
    let flat = x.reshaped([x.count])
    workers.runs(of: x.count, size: elementsPerPiece) { range in
      let run = cast(flat.slice(range), to: .float32)
      mmd_nf4_quantise(
        run.floats, range.count, codes.octets + range.lowerBound / 2, magnitudes.floats + range.lowerBound / NF4.block)
    }
    return (codes, magnitudes)
  }

  public func coded(_ magnitudes: Tensor) -> NF4.Scales {
    let (count, size) = (magnitudes.count, NF4.scaleBlock)
    let (codes, own) = (empty([count], .uint8), floats([(count + size - 1) / size]))
    let map = tensor(NF4.scaleMap, [256])
    let offset = count > 0 ? mmd_nf4_mean(magnitudes.floats, count) : 0
    mmd_nf4_quantise_scales(magnitudes.floats, count, offset, map.floats, codes.octets, own.floats)
    return .coded(codes: codes, magnitudes: own, map: map, offset: offset)
  }

  public func dequantised(_ x: Tensor, as dtype: DType) -> Tensor {
    guard let coding = x.coding else { preconditionFailure("dequantised: \(x)") }
    let y = Output(empty(x.shape, dtype))
    defer { withExtendedLifetime(x) {} }
    workers.runs(of: x.count, size: elementsPerPiece) { range in
      withUnsafePointer(to: coding) {
        mmd_nf4_read($0, range.lowerBound, range.count, y.floats(range.lowerBound), y.halves(range.lowerBound))
      }
    }
    return y.tensor
  }
}

extension Tensor {
  var octets: UnsafeMutablePointer<UInt8> {
    precondition(dtype == .uint8, "\(self) is read as U8")
    return bytes.assumingMemoryBound(to: UInt8.self)
  }

  /// Where the kernels find its codes and magnitudes, as long as it lives.
  var coding: mmd_nf4? {
    guard let nf4 else { return nil }
    let codes = UnsafePointer(bytes.assumingMemoryBound(to: UInt8.self))
    switch nf4.scales {
    case .plain(let magnitudes):
      return mmd_nf4(codes: codes, scales: nil, magnitudes: magnitudes.floats, map: nil, offset: 0)
    case .coded(let scales, let magnitudes, let map, let offset):
      return mmd_nf4(
        codes: codes, scales: scales.octets, magnitudes: magnitudes.floats, map: map.floats, offset: offset)
    }
  }
}
