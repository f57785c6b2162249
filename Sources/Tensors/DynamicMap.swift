/// The 256 values of a dynamic 8-bit number, rising from −0.993 or 0 to 1: seven decades, the upper ones in finer steps
/// (Dettmers 2016, arXiv:1511.04561), with the bits of bitsandbytes' `create_dynamic_map`.
public struct DynamicMap: Sendable {
  /// For numbers of both signs.
  public static let signed = DynamicMap(isSigned: true)
  /// For numbers of 0 and more, in steps half as wide.
  public static let unsigned = DynamicMap(isSigned: false)

  public let values: [Float]

  private init(isSigned: Bool) {
    var values: [Float] = [0, 1]
    for (decade, scale) in [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1].map(Float.init).enumerated() {
      let edges = DynamicMap.edges(of: (isSigned ? 1 : 2) << decade)
      for (lower, upper) in zip(edges, edges.dropFirst()) {
        let value = scale * ((lower + upper) / 2)
        values += isSigned ? [value, -value] : [value]
      }
    }
    self.values = values.sorted()
  }

  /// Where the steps from 0.1 to 1 begin and end, counted from the nearer end.
  private static func edges(of steps: Int) -> [Float] {
    let (start, end) = (Float(0.1), Float(1))
    let width = Double((end - start) / Float(steps))
    return (0...steps).map { edge in
      edge < (steps + 1) / 2
        ? Float(Double(start) + width * Double(edge)) : Float(Double(end) - width * Double(steps - edge))
    }
  }
}
