import Foundation
import Kernels

extension CPUBackend {
  public func rmsNorm(
    _ x: Tensor, _ weight: Tensor, epsilon: Float, as type: DType
  ) -> (y: Tensor, inverse: Tensor) {
    precondition(weight.count == x.width, "rmsNorm: \(x.shape) by \(weight.shape)")
    let (inverse, weight, width) = (floats([x.rows]), cast(weight, to: .float32), x.width)
    let y = Output(empty(x.shape, type))
    workers.runs(of: x.rows, size: rowsPerPiece(width)) { rows in
      let from = rows.lowerBound * width
      mmd_rms_norm(
        x.floats + from, weight.floats, epsilon, y.floats(from), y.halves(from), inverse.floats + rows.lowerBound,
        rows.count, width)
    }
    return (y.tensor, inverse)
  }

  public func rmsNormBackward(
    _ x: Tensor, _ weight: Tensor, _ inverse: Tensor, _ dy: Tensor, addingTo residual: Tensor?, wants: NormGradients
  ) -> (x: Tensor?, weight: Tensor?) {
    let (weight, width) = (cast(weight, to: .float32), x.width)
    let dx = wants.input ? floats(x.shape) : nil
    let partial = wants.weight ? partialSums(rows: x.rows, width: width) : nil
    workers.runs(of: x.rows, size: rowsPerPiece(width)) { rows in
      let from = rows.lowerBound * width
      mmd_rms_norm_backward(
        x.floats + from, weight.floats, inverse.floats + rows.lowerBound, dy.floats + from,
        residual.map { UnsafePointer($0.floats + from) }, dx.map { $0.floats + from }, partial.map { $0.floats + rows.lowerBound / rowsPerPiece(width) * width },
        rows.count, width)
    }
    return (dx, partial.map(summed))
  }

  public func layerNorm(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor, epsilon: Float
  ) -> (y: Tensor, mean: Tensor, inverse: Tensor) {
    precondition(weight.count == x.width, "layerNorm: \(x.shape) by \(weight.shape)")
    let (y, mean, inverse, width) = (floats(x.shape), floats([x.rows]), floats([x.rows]), x.width)
    let (weight, bias) = (cast(weight, to: .float32), cast(bias, to: .float32))
    workers.runs(of: x.rows, size: rowsPerPiece(width)) { rows in
      let from = rows.lowerBound * width
      mmd_layer_norm(
        x.floats + from, weight.floats, bias.floats, epsilon, y.floats + from, mean.floats + rows.lowerBound,
        inverse.floats + rows.lowerBound, rows.count, width)
    }
    return (y, mean, inverse)
  }

  public func layerNormBackward(
    _ x: Tensor, _ weight: Tensor, _ mean: Tensor, _ inverse: Tensor, _ dy: Tensor, wants: NormGradients
  ) -> (x: Tensor?, weight: Tensor?, bias: Tensor?) {
    let (weight, width) = (cast(weight, to: .float32), x.width)
    let dx = wants.input ? floats(x.shape) : nil
    let weights = wants.weight ? partialSums(rows: x.rows, width: width) : nil
    let biases = wants.weight ? partialSums(rows: x.rows, width: width) : nil
    workers.runs(of: x.rows, size: rowsPerPiece(width)) { rows in
      let (from, partial) = (rows.lowerBound * width, rows.lowerBound / rowsPerPiece(width) * width)
      mmd_layer_norm_backward(
        x.floats + from, weight.floats, mean.floats + rows.lowerBound, inverse.floats + rows.lowerBound,
        dy.floats + from, dx.map { $0.floats + from }, weights.map { $0.floats + partial },
        biases.map { $0.floats + partial }, rows.count, width)
    }
    return (dx, weights.map(summed), biases.map(summed))
  }

  /// Zeros [pieces, width]: each piece of rows adds to a row of its own, which are then summed in order.
  private func partialSums(rows: Int, width: Int) -> Tensor {
    zeros([max(1, (rows + rowsPerPiece(width) - 1) / rowsPerPiece(width)), width])
  }
}
