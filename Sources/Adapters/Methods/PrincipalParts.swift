import Foundation
import Tensors

/// The largest singular values of a matrix and their vectors: W ≈ Σ σᵢ uᵢ vᵢᵀ, by subspace iteration from random
/// directions (Halko, Martinsson and Tropp 2011, arXiv:0909.4061) with Ritz values; the same bits on any number of
/// threads.
///
/// The subspace has some more dimensions than are wanted, so that it converges by (σ_q / σ_r)² an iteration.
struct PrincipalParts {
  /// [out, count], unit columns
  let left: Tensor
  /// Descending.
  let values: [Double]
  /// [in, count], unit columns; zero where the value is.
  let right: Tensor

  /// How far W v may be from σ u, as a share of the largest σ, where no number of iterations is given.
  private static let tolerance = 3e-6
  private static let mostIterations = 400
  private static let iterationsPerLook = 4

  /// - Parameters: matrix [out, in] f32; `iterations`, or nil for as many as it takes.
  init(of matrix: Tensor, count: Int, iterations: Int?, _ stream: RandomStream, _ backend: any Backend) {
    let (outputs, inputs) = (matrix.rows, matrix.width)
    precondition(count <= min(outputs, inputs), "principal parts: \(count) of \(matrix.shape)")
    let size = min(outputs, inputs, iterations == nil ? 2 * count + 16 : count + 8)
    let draws = (0..<inputs * size).map { Float(stream.normal(at: $0)) }
    var basis = orthonormal(backend.tensor(draws, [inputs, size]), backend)
    var found = PrincipalParts.ritz(matrix, basis, count, backend)
    var done = 0
    let most = iterations ?? PrincipalParts.mostIterations
    while done < most {
      for _ in 0..<min(iterations ?? PrincipalParts.iterationsPerLook, most - done) {
        let image = orthonormal(backend.product(Factor(matrix), Factor(basis)), backend)
        basis = orthonormal(backend.product(Factor(matrix, transposed: true), Factor(image)), backend)
        done += 1
      }
      found = PrincipalParts.ritz(matrix, basis, count, backend)
      if iterations == nil, found.error(of: matrix, backend) <= PrincipalParts.tolerance { break }
    }
    self = found
  }

  private init(left: Tensor, values: [Double], right: Tensor) {
    (self.left, self.values, self.right) = (left, values, right)
  }

  /// Rayleigh and Ritz: the best that a subspace of inputs, [in, size] with orthonormal columns, can say.
  private static func ritz(
    _ matrix: Tensor, _ basis: Tensor, _ count: Int, _ backend: any Backend
  ) -> PrincipalParts {
    let image = orthonormal(backend.product(Factor(matrix), Factor(basis)), backend)
    let back = backend.product(Factor(matrix, transposed: true), Factor(image))
    let (squares, vectors) = symmetricEigen(gram(back, backend), size: back.width)
    let order = squares.indices.sorted { (squares[$0], $1) > (squares[$1], $0) }.prefix(count)
    let values = order.map { max(squares[$0], 0).squareRoot() }
    let floor = (values.first ?? 0) * 1e-7
    func turn(_ divided: Bool) -> Tensor {
      var rotation = [Float](repeating: 0, count: back.width * count)
      for (place, column) in order.enumerated() {
        let factor = divided ? (values[place] > floor ? 1 / values[place] : 0) : 1
        for row in 0..<back.width { rotation[row * count + place] = Float(vectors[row * back.width + column] * factor) }
      }
      return backend.tensor(rotation, [back.width, count])
    }
    return PrincipalParts(
      left: backend.product(Factor(image), Factor(turn(false))), values: values,
      right: backend.product(Factor(back), Factor(turn(true))))
  }

  /// max ‖W vᵢ − σᵢ uᵢ‖ / σ₁
  private func error(of matrix: Tensor, _ backend: any Backend) -> Double {
    let sigma = backend.tensor(values.map(Float.init), [values.count])
    let image = backend.product(Factor(matrix), Factor(right))
    let rest = backend.add(image, backend.scale(backend.scaleColumns(left, by: sigma, start: .zero), by: -1))
    let worst = backend.read(backend.columnProducts(rest, rest)).max() ?? 0
    return Double(worst).squareRoot() / max(values.first ?? 0, 1e-30)
  }

  /// A = √(σ/s) Vᵀ and B = U √(σ/s), as PiSSA has them: s B A is the principal part of W.
  func factors(scale: Float, _ backend: any Backend) -> (down: Tensor, up: Tensor) {
    let roots = backend.tensor(values.map { Float(($0 / Double(scale)).squareRoot()) }, [values.count])
    return (
      backend.transposed(backend.scaleColumns(right, by: roots, start: .zero), as: .float32),
      backend.scaleColumns(left, by: roots, start: .zero)
    )
  }
}

/// The first columns Q of the QR factors of W, and their rows of R = Qᵀ W: OLoRA's B and A.
func leadingQR(of matrix: Tensor, count: Int, _ backend: any Backend) -> (down: Tensor, up: Tensor) {
  let leading = backend.columns(matrix, 0..<count)
  let q = orthonormal(leading, backend)
  return (backend.product(Factor(q, transposed: true), Factor(matrix)), q)
}

/// An orthonormal basis of the columns of x [n, q], in their order: Cholesky of the Gram matrix of unit columns, three
/// times, since each makes the next more exact. A column that is zero stays zero.
private func orthonormal(_ x: Tensor, _ backend: any Backend) -> Tensor {
  (0..<3).reduce(x) { x, _ in
    let turn = orthonormaliser(of: gram(x, backend), size: x.width).map(Float.init)
    return backend.product(Factor(x), Factor(backend.tensor(turn, [x.width, x.width])))
  }
}

/// xᵀ x
private func gram(_ x: Tensor, _ backend: any Backend) -> [Double] {
  backend.read(backend.product(Factor(x, transposed: true), Factor(x))).map(Double.init)
}

/// D R⁻¹ where D makes the columns of x unit and D G D = Rᵀ R for its Gram matrix G; upper triangular, row-major.
///
/// A column that depends on those before it to rounding is freed of them, but not made unit: the next time it is known
/// better.
private func orthonormaliser(of gram: [Double], size: Int) -> [Double] {
  let units = (0..<size).map { gram[$0 * size + $0] > 0 ? 1 / gram[$0 * size + $0].squareRoot() : 0 }
  var r = gram.indices.map { gram[$0] * units[$0 / size] * units[$0 % size] }
  for row in 0..<size {
    for column in row..<size {
      r[row * size + column] -= (0..<row).reduce(0) { $0 + r[$1 * size + row] * r[$1 * size + column] }
    }
    let isDependent = r[row * size + row] < 1e-5
    let pivot = isDependent ? 1 : r[row * size + row].squareRoot()
    r[row * size + row] = pivot
    for column in row + 1..<size { r[row * size + column] = isDependent ? 0 : r[row * size + column] / pivot }
  }
  var inverse = [Double](repeating: 0, count: size * size)
  for column in 0..<size {
    for row in stride(from: column, through: 0, by: -1) {
      let unit = row == column ? 1.0 : 0
      let sum = (row + 1..<column + 1).reduce(unit) { $0 - r[row * size + $1] * inverse[$1 * size + column] }
      inverse[row * size + column] = sum / r[row * size + row]
    }
  }
  return inverse.indices.map { inverse[$0] * units[$0 / size] }
}

/// Eigenvalues of a symmetric matrix, and its eigenvectors as columns, by cyclic Jacobi rotations.
func symmetricEigen(_ matrix: [Double], size: Int) -> (values: [Double], vectors: [Double]) {
  var a = matrix
  var v = [Double](repeating: 0, count: size * size)
  for index in 0..<size { v[index * size + index] = 1 }
  let norm = a.reduce(0) { $0 + $1 * $1 }
  for _ in 0..<60 {
    var off = 0.0
    for p in 0..<size { for q in p + 1..<size { off += a[p * size + q] * a[p * size + q] } }
    if off <= norm * 1e-30 { break }
    for p in 0..<size {
      for q in p + 1..<size where abs(a[p * size + q]) > 1e-300 {
        let theta = (a[q * size + q] - a[p * size + p]) / (2 * a[p * size + q])
        let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
        let cosine = 1 / (t * t + 1).squareRoot()
        let sine = t * cosine
        for k in 0..<size {
          let (x, y) = (a[k * size + p], a[k * size + q])
          (a[k * size + p], a[k * size + q]) = (cosine * x - sine * y, sine * x + cosine * y)
        }
        for k in 0..<size {
          let (x, y) = (a[p * size + k], a[q * size + k])
          (a[p * size + k], a[q * size + k]) = (cosine * x - sine * y, sine * x + cosine * y)
        }
        for k in 0..<size {
          let (x, y) = (v[k * size + p], v[k * size + q])
          (v[k * size + p], v[k * size + q]) = (cosine * x - sine * y, sine * x + cosine * y)
        }
      }
    }
  }
  return ((0..<size).map { a[$0 * size + $0] }, v)
}
