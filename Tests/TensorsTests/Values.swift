import Tensors

/// To the nearest bf16 number, ties to the even one.
func rounded(_ x: Float) -> Float {
  let bits = x.bitPattern
  return Float(bitPattern: (bits + 0x7fff + (bits >> 16) & 1) & 0xffff_0000)
}

/// Numbers from −1 to 1, the same for the same name.
func random(_ count: Int, _ name: String) -> [Float] {
  let stream = RandomStream([11]).named(name)
  return (0..<count).map { Float(stream.uniform(at: $0) * 2 - 1) }
}
