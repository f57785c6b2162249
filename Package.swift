// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let strictC: [CSetting] = [.treatAllWarnings(as: .error)]
let collections = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")

// The rooms, floor by floor; a room imports only lower floors (docs/architecture.md, ArchitectureTests).
let package = Package(
  name: "mmdist",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    // Floor 0: system libraries, C shims and kernels, and what every room stands on.
    .systemLibrary(name: "CJansson", providers: [.apt(["libjansson-dev"])]),
    .systemLibrary(name: "CMemoryFile"),
    .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "COniguruma", providers: [.apt(["libonig-dev"])]),
    .systemLibrary(name: "CXXHash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "COpenMPI", dependencies: ["CMPI"]),
    .target(name: "CJPEGShim", cSettings: strictC, linkerSettings: [.linkedLibrary("jpeg")]),
    .target(name: "CPNGShim", cSettings: strictC, linkerSettings: [.linkedLibrary("png16")]),
    .target(name: "CResample", cSettings: strictC),
    .target(name: "Kernels", cSettings: strictC, linkerSettings: [.linkedLibrary("dl"), .linkedLibrary("m")]),
    .target(name: "Ground", dependencies: ["CJansson", "CXXHash", collections], swiftSettings: strict),

    // Floor 1
    .target(name: "Compression", dependencies: ["CZlib", "CZstd"], swiftSettings: strict),
    .target(name: "Features", dependencies: ["Ground"], swiftSettings: strict),
    .target(name: "Tensors", dependencies: ["Ground", "Kernels"], swiftSettings: strict),
    .target(name: "RunFile", dependencies: ["Ground", collections, yams], swiftSettings: strict),
    .target(name: "Report", dependencies: ["Ground"], swiftSettings: strict),
    .target(name: "Jinja", dependencies: ["Ground", collections], swiftSettings: strict),
    .target(
      name: "EventFiles", dependencies: ["Ground", protobuf], exclude: ["event.proto", "generate.sh"],
      swiftSettings: strict),

    // Floor 2
    .target(name: "Metrics", dependencies: ["Ground", collections], swiftSettings: strict),
    .target(name: "Modules", dependencies: ["Ground", "Tensors"], swiftSettings: strict),
    .target(name: "Tokenizers", dependencies: ["Ground", "Jinja", "COniguruma", collections], swiftSettings: strict),
    .target(name: "Media", dependencies: ["Ground", "CJPEGShim", "CPNGShim", "CResample"], swiftSettings: strict),
    .target(name: "SafeTensors", dependencies: ["Ground", "Tensors", collections], swiftSettings: strict),

    // Floor 3
    .target(
      name: "Demo", dependencies: ["Ground", "Tensors", "SafeTensors", "Media", collections],
      resources: [.copy("Resources/model")], swiftSettings: strict),
    .target(
      name: "Models", dependencies: ["Ground", "Modules", "SafeTensors", "Tensors", collections], swiftSettings: strict),
    .target(
      name: "Datasets", dependencies: ["Ground", "Compression", "Features", "Tokenizers", "Media"],
      swiftSettings: strict),
    .target(name: "Parallel", dependencies: ["Ground", "CMemoryFile", "COpenMPI"], swiftSettings: strict),

    // Floor 4
    .target(
      name: "Adapters",
      dependencies: ["Ground", "Models", "Modules", "RunFile", "SafeTensors", "Tensors", "Tokenizers"],
      swiftSettings: strict),
    .target(
      name: "Checkpoints", dependencies: ["Ground", "Tensors", "SafeTensors", "Compression", collections],
      swiftSettings: strict),

    .target(
      name: "Inspection", dependencies: ["Ground", "Datasets", "Media", "Parallel", "Report", collections],
      swiftSettings: strict),

    .target(
      name: "Batching", dependencies: ["Ground", "Datasets", "Features", "Media", "Models", "Tensors", "Tokenizers"],
      swiftSettings: strict),

    // Floor 5
    .target(
      name: "Evaluation",
      dependencies: [
        "Ground", "Tensors", "Metrics", "Modules", "Tokenizers", "Models", "Datasets", "Batching", "Parallel",
        "SafeTensors", collections,
      ], swiftSettings: strict),

    // Floor 6
    .target(
      name: "Training",
      dependencies: [
        "Ground", "Tensors", "RunFile", "EventFiles", "Features", "Media", "Models", "Adapters", "Datasets", "Batching",
        "Evaluation", "Metrics", "Parallel", "Checkpoints", "SafeTensors", "Tokenizers", collections,
      ], swiftSettings: strict),

    // Floor 7
    .target(
      name: "Study",
      dependencies: [
        "Ground", "Tensors", "RunFile", "Report", "Models", "Adapters", "Datasets", "Batching", "Evaluation", "Metrics",
        "Parallel", "Checkpoints", "Training", collections,
      ], swiftSettings: strict),

    // Floor 8
    .executableTarget(
      name: "mmdist",
      dependencies: [
        "Features", "Ground", "Inspection", "Tensors", "RunFile", "Models", "Adapters", "Datasets", "Batching",
        "Parallel", "Report", "Checkpoints", "Training", "Evaluation", "Metrics", "Tokenizers", "Demo", "Study",
        collections, arguments,
      ], swiftSettings: strict),
    .executableTarget(
      name: "demo-recipe", dependencies: ["Demo", "Ground", "Models", "SafeTensors", "Tensors"], swiftSettings: strict),
    .executableTarget(name: "parallel-check", dependencies: ["Parallel", "Ground"], swiftSettings: strict),

    // Tests
    .target(
      name: "SoftwareTiles", dependencies: ["Kernels"], path: "Tests/SoftwareTiles", cSettings: strictC,
      linkerSettings: [.linkedLibrary("m")]),
    .target(
      name: "TestSupport", dependencies: ["Ground", "Models", "SafeTensors", "SoftwareTiles", "Tensors"],
      path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(name: "GroundTests", dependencies: ["Ground"], swiftSettings: strict),
    .testTarget(name: "ArchitectureTests", dependencies: ["RunFile"], swiftSettings: strict),
    .testTarget(
      name: "SafeTensorsTests", dependencies: ["SafeTensors", "Ground", "Tensors"], resources: [.copy("Fixtures")],
      swiftSettings: strict),
    .testTarget(
      name: "CheckpointsTests",
      dependencies: ["Checkpoints", "Compression", "SafeTensors", "Ground", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "ParallelTests", dependencies: ["Parallel", "Ground", "parallel-check"], swiftSettings: strict),
    .testTarget(
      name: "RunFileTests", dependencies: ["RunFile", "Ground"], resources: [.copy("Fixtures")], swiftSettings: strict),
    .testTarget(
      name: "EventFilesTests", dependencies: ["EventFiles", "Ground"], resources: [.copy("Fixtures")],
      swiftSettings: strict),
    .testTarget(
      name: "JinjaTests", dependencies: ["Jinja", "Ground"], resources: [.copy("Fixtures")], swiftSettings: strict),
    .testTarget(
      name: "MetricsTests", dependencies: ["Metrics", "Ground", collections], exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(name: "ReportTests", dependencies: ["Report", "Ground"], swiftSettings: strict),
    .testTarget(
      name: "InspectionTests", dependencies: ["Inspection", "Ground", "Media"], swiftSettings: strict),
    .testTarget(name: "FeaturesTests", dependencies: ["Features", "Ground"], swiftSettings: strict),
    .testTarget(name: "DemoTests", dependencies: ["Demo", "Ground", "Media", "RunFile"], swiftSettings: strict),
    .testTarget(
      name: "TokenizersTests", dependencies: ["Tokenizers", "Ground", "Jinja", "TestSupport"],
      resources: [.copy("Fixtures")],
      swiftSettings: strict),
    .testTarget(name: "MediaTests", dependencies: ["Media", "Ground"], exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(
      name: "DatasetsTests",
      dependencies: ["Compression", "Datasets", "Features", "Ground", "Media", "TestSupport", "Tokenizers"],
      exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(
      name: "TensorsTests", dependencies: ["Tensors", "Ground", "SafeTensors", "TestSupport"], exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(
      name: "EvaluationTests",
      dependencies: [
        "Evaluation", "Batching", "Datasets", "Ground", "Metrics", "Models", "Modules", "Parallel", "Tensors",
        "Tokenizers", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Training", "Adapters", "Batching", "Checkpoints", "Datasets", "Evaluation", "Ground", "Models", "Parallel",
        "RunFile", "SafeTensors", "Tensors", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "StudyTests", dependencies: ["Study", "Ground", "Metrics", "RunFile", "TestSupport", collections],
      swiftSettings: strict),
    .testTarget(
      name: "MmdistTests",
      dependencies: [
        "mmdist", "Demo", "Ground", "Media", "RunFile", "SafeTensors", "Tensors", "Training", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ModelsTests", dependencies: ["Models", "Modules", "Ground", "SafeTensors", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "AdaptersTests",
      dependencies: ["Adapters", "Ground", "Models", "RunFile", "SafeTensors", "Tensors", "TestSupport"],
      swiftSettings: strict),

    // Benchmarks
    .executableTarget(
      name: "products-bench", dependencies: ["Tensors"], path: "Benchmarks/products", swiftSettings: strict),
    .executableTarget(
      name: "feeding-bench", dependencies: ["Media", "Tokenizers"], path: "Benchmarks/feeding", swiftSettings: strict),
  ]
)
