import Foundation

extension Shape {
  /// The signed distance of a point to the outline, negative inside; the figure has radius 1 around the origin.
  func distance(_ point: SIMD2<Double>) -> Double {
    switch self {
    case .circle: length(point) - 0.92
    case .square: boxDistance(point, SIMD2(0.8, 0.8))
    case .triangle: polygonDistance(point, Shape.triangleCorners)
    case .star: polygonDistance(point, Shape.starCorners)
    }
  }

  private static let triangleCorners: [SIMD2<Double>] = (0..<3).map { corner in
    let angle = 2 * Double.pi * Double(corner) / 3
    return SIMD2(sin(angle), 0.18 - cos(angle)) * 1.08
  }

  private static let starCorners: [SIMD2<Double>] = (0..<10).map { corner in
    let angle = Double.pi * Double(corner) / 5
    return SIMD2(sin(angle), -cos(angle)) * (corner % 2 == 0 ? 1.08 : 0.45)
  }
}

private func length(_ point: SIMD2<Double>) -> Double { (point * point).sum().squareRoot() }

private func boxDistance(_ point: SIMD2<Double>, _ half: SIMD2<Double>) -> Double {
  let beyond = SIMD2(abs(point.x), abs(point.y)) - half
  let outside = length(SIMD2(max(beyond.x, 0), max(beyond.y, 0)))
  return outside + min(max(beyond.x, beyond.y), 0)
}

/// The distance to the nearest edge, with a sign from the number of edges that a ray to the right crosses.
private func polygonDistance(_ point: SIMD2<Double>, _ corners: [SIMD2<Double>]) -> Double {
  var nearest = Double.infinity
  var isInside = false
  var before = corners[corners.count - 1]
  for corner in corners {
    let (edge, toPoint) = (before - corner, point - corner)
    let along = min(max((edge * toPoint).sum() / (edge * edge).sum(), 0), 1)
    let gap = toPoint - edge * along
    nearest = min(nearest, (gap * gap).sum())
    if (corner.y > point.y) != (before.y > point.y), point.x < corner.x + edge.x * toPoint.y / edge.y {
      isInside.toggle()
    }
    before = corner
  }
  return isInside ? -nearest.squareRoot() : nearest.squareRoot()
}
