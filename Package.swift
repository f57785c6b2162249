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
    .target(name: "Tensors", dependencies: ["Ground"], swiftSettings: strict),
  ]
)
