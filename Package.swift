// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let collections = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")

let package = Package(
  name: "mmdist",
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
  ],
  targets: [
    .systemLibrary(name: "CJansson"),
    .target(name: "Ground", dependencies: ["CJansson", collections], swiftSettings: strict),
    .target(name: "Kernels", linkerSettings: [.linkedLibrary("dl"), .linkedLibrary("m")]),
    .target(name: "Tensors", dependencies: ["Ground", "Kernels"], swiftSettings: strict),
    .target(name: "Modules", dependencies: ["Tensors"], swiftSettings: strict),
    .target(name: "SafeTensors", dependencies: ["Ground", "Tensors", collections], swiftSettings: strict),
    .target(
      name: "Models", dependencies: ["Ground", "Modules", "Tensors", "SafeTensors", collections], swiftSettings: strict),
    .target(name: "Adapters", dependencies: ["Ground", "Modules", "Models", "SafeTensors", "Tensors"], swiftSettings: strict),
    .target(
      name: "TestSupport", dependencies: ["Ground", "Models", "SafeTensors", "Tensors"], path: "Tests/TestSupport",
      swiftSettings: strict),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: strict),
    .testTarget(name: "ModelsTests", dependencies: ["Models", "Tensors", "TestSupport"], swiftSettings: strict),
  ]
)
