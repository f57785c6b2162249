import Models
import Tensors

/// What the learning rate of a part is multiplied with for each of its parameters.
struct RateFactors {
  /// Rate × decay^(distance from the top), in each part for itself, as BEiT and timm have it: the last layer is 1 from the
  /// top, the embeddings one below the first layer; what follows the layers has the whole rate.
  let layerDecay: Double?
  /// How many layers each part has.
  private let depths: [ModelPart: Int]

  init(_ parameters: [Parameter], layerDecay: Double?) {
    self.layerDecay = layerDecay
    var depths: [ModelPart: Int] = [:]
    for parameter in parameters {
      guard let layer = RateFactors.layer(of: parameter.name) else { continue }
      depths[MultimodalModel.part(of: parameter.name), default: 0].formMax(layer + 1)
    }
    self.depths = depths
  }

  func callAsFunction(_ name: String) -> Double {
    guard let layerDecay, let depth = depths[MultimodalModel.part(of: name)] else { return 1 }
    let distance: Int
    if let layer = RateFactors.layer(of: name) {
      distance = depth - layer
    } else {
      distance = RateFactors.isBelowLayers(name) ? depth + 1 : 0
    }
    return (0..<distance).reduce(1) { factor, _ in factor * layerDecay }
  }

  /// The number of the layer that a parameter is in, the first number in its path.
  static func layer(of name: String) -> Int? {
    name.split(separator: ".").lazy.compactMap { Int($0) }.first
  }

  /// Whether it belongs to the embeddings of tokens, patches or positions, or to a norm in front of the layers.
  static func isBelowLayers(_ name: String) -> Bool {
    let modules = name.split(separator: ".")
    return modules.contains { $0.contains("embed") || $0 == "wte" || $0 == "wpe" || $0 == "pre_layrnorm" }
  }
}

extension Int {
  fileprivate mutating func formMax(_ other: Int) { self = Swift.max(self, other) }
}
