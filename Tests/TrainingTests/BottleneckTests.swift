import Batching
import Datasets
import Foundation
import Ground
import Models
import Parallel
import RunFile
import SafeTensors
import Tensors
import TestSupport
import XCTest

@testable import Adapters
@testable import Training

/// Bottleneck adapters against the `adapters` library, over the models of the goldens.
final class BottleneckTests: FolderTests {
  private func settings(_ kind: String) throws -> BottleneckSettings {
    BottleneckSettings(try XCTUnwrap(AdapterKind(rawValue: kind)), reduction: kind == "pfeiffer" ? 6 : 8)
  }

  private func run(_ name: String) throws -> MethodRun {
    let kind = try XCTUnwrap(name.split(separator: "-").last.map(String.init))
    let settings = try settings(kind)
    var run = try MethodRun(name, in: "adapters") { _ in
      if name.contains("stack") {
        let first = AdapterTuning.Member("first", settings, isTrained: false)
        return AdapterTuning([first, AdapterTuning.Member("second", settings)])
      }
      if name.contains("fuse") {
        return AdapterTuning(
          ["first", "second"].map { AdapterTuning.Member($0, settings, isTrained: false) }, .fuse)
      }
      return AdapterTuning(settings, name: "task")
    }
    if run.adapter == nil { run.adapter = run.folder + "/setup_init" }
    return run
  }

  private let trained = ["gpt2-houlsby", "gpt2-pfeiffer", "gpt2-parallel", "gpt2-stack-houlsby", "gpt2-fuse-pfeiffer"]

  func testTwelveSteps() throws {
    for name in trained {
      let run = try run(name)
      let (trainer, backend) = try run.start(SingleProcess())
      run.compareLosses(try run.losses(trainer.adapted, backend), "nll")
      XCTAssertEqual(
        trainer.adapted.trainable.reduce(0) { $0 + $1.count }, run.figures["trainable_parameters"]?.integer, name)
      let loader = try run.loader(after: 0, SingleProcess())
      try run.compare(try (0..<run.plan.steps).map { _ in try trainer.trainStep(loader) })
      run.compareLosses(try run.losses(trainer.adapted, backend), "nll_after")
      let saved = folder + "/" + name
      try trainer.adapted.saveAdapter(to: saved, backend: backend)
      // The library's files are those of the same names, and say the same but for the model's place.
      for ending in ["adapter_final", "setup_final"] {
        let wanted = run.folder + "/" + ending
        guard let files = FileManager.default.enumerator(atPath: wanted) else { continue }
        for file in files.compactMap({ $0 as? String }) {
          if file.hasSuffix(".safetensors") {
            try run.compareFiles("\(saved)/\(file)", "\(wanted)/\(file)")
          } else if file.hasSuffix(".json") {
            let (said, theirs) = (try JSON(contentsOf: "\(saved)/\(file)"), try JSON(contentsOf: "\(wanted)/\(file)"))
            let (own, wanted) = (try XCTUnwrap(said.object), try XCTUnwrap(theirs.object))
            XCTAssertEqual(Set(own.keys), Set(wanted.keys), file)
            for (key, value) in wanted where key != "model_name" {
              XCTAssertEqual(own[key], value, "\(name) \(file): \(key)")
            }
          }
        }
      }
      // As a command reads it.
      let folder = try ModelFolder(run.golden.modelFolder)
      let again = try AdaptedModel(folder, methods: AdaptedModel.methods(ofAdapter: saved, for: folder))
      try again.loadWeights(adapter: saved, seed: 4, precision: .float32, backend: backend)
      run.compareLosses(try run.losses(again, backend), "nll_after")
    }
  }

  func testGradients() throws {
    for name in ["gpt2-houlsby", "gpt2-pfeiffer", "gpt2-parallel"] {
      let run = try run(name)
      let backend = try CPUBackend(threads: 1)
      let adapted = try run.adapted(backend)
      let file = try SafeTensorsFile(run.folder + "/golden.safetensors")
      let batch = try Batch(
        (0..<run.plan.globalBatch).map { try run.golden.sample($0, imageToken: nil) })
      for recomputes in [false, true] {
        let context = Context(backend, recording: true, recomputesLayers: recomputes)
        let (sum, _) = try loss(of: batch, adapted, context)
        var found: [String: [Float]] = [:]
        context.backward(from: sum, seed: backend.tensor([1 / Float(batch.supervised)], [1])) {
          found[$0.name] = backend.read($1)
        }
        XCTAssertEqual(Set(found.keys), Set(file.entries.keys.map { String($0.dropFirst(5)) }))
        for (key, values) in found {
          XCTAssertLessThan(relativeDistance(values, try file.floats("grad." + key)), 2e-5, "\(name) \(key)")
        }
      }
    }
  }

  /// BERT alone, and Llama and CLIP inside a LLaVA model, compute what they do alone in the library, with its files.
  func testOtherModels() throws {
    var seen = 0
    defer { XCTAssertEqual(seen, 6) }
    let backend = try CPUBackend(threads: 1)
    for kind in ["houlsby", "pfeiffer", "parallel"] {
      for (name, part) in [("llama", ModelPart.language), ("clip", .vision), ("bert", .language)] {
        let folder = try ModelFolder("\(Golden.fixtures)/\(name == "bert" ? "bert" : "llava-clip-llama")/model")
        let fixture = "\(Golden.fixtures)/adapters/\(name)-\(kind)"
        guard FileManager.default.fileExists(atPath: fixture) else { continue }
        seen += 1
        let found = try AdaptedModel.methods(ofAdapter: fixture + "/adapter_init", for: folder)
        XCTAssertEqual(Array(found.keys), [part])
        let adapted = try AdaptedModel(folder, methods: [part: AdapterTuning(settings(kind), name: "task")])
        try adapted.loadWeights(
          adapter: fixture + "/adapter_init", seed: 0, precision: .float32, backend: backend)
        let context = Context(backend, recording: true)
        let hidden: Tensor
        if part == .language {
          let ids = (20..<32).map(Int32.init)
          let batch = TokenBatch(
            ids: backend.tensor(ids), positions: backend.tensor(ids.indices.map(Int32.init)), positionLimit: ids.count,
            sequences: Sequences(lengths: [ids.count]))
          hidden = adapted.model.hidden(batch, imageRows: nil, pictures: nil, context)
        } else {
          let eyes = try XCTUnwrap(adapted.model.eyes)
          let count = 3 * eyes.imageSize * eyes.imageSize
          let pixels = (0..<count).map { sinf(-2 + 4 * Float($0) / Float(count - 1)) }
          XCTAssertFalse(eyes.hasConstantFeatures, "its adapters are trained")
          hidden = eyes.features(backend.tensor(pixels, [1, 3, eyes.imageSize, eyes.imageSize]), context)
        }
        let file = try SafeTensorsFile(fixture + "/golden.safetensors")
        XCTAssertLessThan(relativeDistance(backend.read(hidden), try file.floats("hidden")), 1e-5, fixture)
        let scale = (0..<hidden.count).map { -1 + 2 * Float($0) / Float(hidden.count - 1) }
        var gradients: [String: [Float]] = [:]
        context.backward(from: hidden, seed: backend.tensor(scale, hidden.shape)) {
          gradients[$0.name] = backend.read($1)
        }
        gradients = gradients.filter { $0.key.contains(".adapters.") }
        XCTAssertGreaterThan(gradients.count, 7)
        let keys = file.entries.keys.filter { $0.hasPrefix("grad.") }
        XCTAssertEqual(gradients.count, keys.count)
        for key in keys {
          let place = key.dropFirst(5).replacingOccurrences(of: "vision_model.", with: "")
          let prefix = ["clip": "model.vision_tower.", "llama": "model.language_model.", "bert": "bert."]
          let own = (prefix[name] ?? "") + place
          XCTAssertLessThan(
            relativeDistance(try XCTUnwrap(gradients[own], own), try file.floats(key)), 5e-5, "\(fixture) \(own)")
        }
      }
    }
  }

  /// The first adapter keeps its bits while the one above it, or the fusion, is trained; and it can be switched off and on.
  func testTheFirstAdapterIsNotForgotten() throws {
    for name in ["gpt2-stack-houlsby", "gpt2-fuse-pfeiffer"] {
      let run = try run(name)
      let (trainer, backend) = try run.start(SingleProcess())
      let tuning = try XCTUnwrap(trainer.adapted.tunings.last as? BottleneckAdapters)
      let bits = { tuning.parameters(of: "first").map { backend.read($0.value).map(\.bitPattern) } }
      tuning.active = ["first"]
      let (before, alone) = (bits(), try run.losses(trainer.adapted, backend))
      XCTAssertGreaterThan(before.count, 0)
      tuning.active = ["first", "second"]
      let loader = try run.loader(after: 0, SingleProcess())
      for _ in 0..<4 { _ = try trainer.trainStep(loader) }
      XCTAssertEqual(bits(), before)
      let together = try run.losses(trainer.adapted, backend)
      tuning.active = ["first"]
      XCTAssertEqual(try run.losses(trainer.adapted, backend), alone, "what it computes alone is what it was")
      XCTAssertNotEqual(together, alone)
      tuning.active = []
      let bare = try AdaptedModel(ModelFolder(run.golden.modelFolder), methods: [:])
      try bare.loadWeights(adapter: nil, seed: 0, precision: .float32, backend: backend)
      for (off, bare) in zip(try run.losses(trainer.adapted, backend), try run.losses(bare, backend)) {
        XCTAssertEqual(off, bare, accuracy: 1e-9 * bare)
      }
    }
  }

  /// A run file's row: adapters that were saved alone, taken up by name, with a new one above them or a fusion.
  func testAdaptersTrainedBeforeAreTakenUp() throws {
    let backend = try CPUBackend(threads: 1)
    let model = try ModelFolder(Golden("gpt2").modelFolder)
    let setup = Golden.fixtures + "/adapters/gpt2-stack-houlsby/setup_init"
    var row = PartConfiguration(.language, train: .adapter)
    row.kind = .pfeiffer
    row.adapters = ["first", "second"].map {
      var adapter = TrainedAdapter()
      (adapter.name, adapter.path) = ("my-\($0)", "\(setup)/\($0)")
      return adapter
    }
    for fusion in [false, true] {
      row.fusion = fusion
      let adapted = try AdaptedModel(model, methods: [.language: XCTUnwrap(row.method)])
      try adapted.loadWeights(adapter: nil, seed: 1, precision: .float32, backend: backend)
      let tuning = try XCTUnwrap(adapted.tunings.last as? BottleneckAdapters)
      let file = try SafeTensorsFile(setup + "/second/adapter.safetensors")
      for parameter in tuning.parameters(of: "my-second") {
        let key = parameter.name.replacingOccurrences(of: "my-second", with: "second")
        XCTAssertEqual(backend.read(parameter.value), try file.floats(key), key)
      }
      XCTAssertTrue(adapted.trainable.allSatisfy { $0.name.contains(fusion ? "my-first,my-second" : ".default.") })
      XCTAssertEqual(adapted.trainable.count, fusion ? 2 * 2 * 5 : 2 * 4)
      if fusion {
        let value = backend.read(try XCTUnwrap(adapted.trainable.first { $0.name.hasSuffix("value.weight") }).value)
        XCTAssertEqual(Array(value[..<3]) + [value[49]], [1, 1e-6, 1e-6, 1], "near identity")
      }
      try adapted.saveAdapter(to: "\(folder)/\(fusion)", backend: backend)
      let found = try AdaptedModel.methods(ofAdapter: "\(folder)/\(fusion)", for: model)
      let again = try AdaptedModel(model, methods: found)
      try again.loadWeights(adapter: "\(folder)/\(fusion)", seed: 2, precision: .float32, backend: backend)
      let values = Dictionary(uniqueKeysWithValues: again.model.parameters.map { ($0.name, $0) })
      for parameter in tuning.added {
        XCTAssertEqual(
          backend.read(try XCTUnwrap(values[parameter.name]).value), backend.read(parameter.value), parameter.name)
      }
    }
  }

  func testTheSameBitsOnAnyNumberOfRanks() throws {
    for name in ["gpt2-houlsby", "gpt2-fuse-pfeiffer"] {
      var run = try run(name)
      let wanted = try run.train(steps: 3).weights
      run.threads = 2
      XCTAssertEqual(try run.train(ranks: 3, steps: 3).weights, wanted, name)
      run.recomputes = true
      XCTAssertEqual(try run.train(steps: 3).weights, wanted, "\(name) recomputed")
    }
  }

  // MARK: What makes no sense

  private func refusal(_ golden: String, _ part: ModelPart, _ method: any TuningMethod) throws -> Fault {
    try fault { try AdaptedModel(ModelFolder(Golden(golden).modelFolder), methods: [part: method]) }
  }

  func testWhatMakesNoSenseIsRefused() throws {
    let houlsby = try settings("houlsby")
    func pair(_ a: BottleneckSettings, _ b: BottleneckSettings, _ how: AdapterTuning.Composition, second: String = "b")
      -> AdapterTuning
    {
      AdapterTuning([AdapterTuning.Member("a", a), AdapterTuning.Member(second, b)], how)
    }
    for (part, method, what) in [
      (.projector, AdapterTuning(houlsby), "the projector has no residual branches"),
      (.language, pair(houlsby, houlsby, .stack, second: "a"), "two adapters are named 'a'"),
      (.language, pair(houlsby, try settings("parallel"), .stack), "'b' is parallel to its branch"),
      (.language, pair(houlsby, try settings("pfeiffer"), .fuse), "of different kinds"),
      (.language, AdapterTuning([AdapterTuning.Member("a", houlsby)], .fuse), "fewer than two"),
      (
        .vision, AdapterTuning(BottleneckSettings(.houlsby, layers: LayerSet([77]))), "the vision part has no place"
      ),
    ] as [(ModelPart, AdapterTuning, String)] {
      let fault = try refusal("llava-clip-llama", part, method)
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertTrue(fault.what.contains(what), "\(fault)")
    }
  }

  func testOtherFilesThanTheMethods() throws {
    let backend = try CPUBackend(threads: 1)
    let source = Golden.fixtures + "/adapters/gpt2-houlsby/adapter_init"
    let model = try ModelFolder(Golden("gpt2").modelFolder)
    func refusal(_ method: any TuningMethod, _ path: String) throws -> Fault {
      try fault {
        let adapted = try AdaptedModel(model, methods: [.language: method])
        try adapted.loadWeights(adapter: path, seed: 0, precision: .float32, backend: backend)
      }
    }
    var other = try settings("houlsby")
    other.reduction = 4
    XCTAssertTrue(try refusal(AdapterTuning(other), source).what.contains("'reduction_factor' 4, its files 8"))
    XCTAssertTrue(try refusal(AdapterTuning(settings("pfeiffer")), source).what.contains("the adapter 'default' has '"))
    XCTAssertTrue(try refusal(PromptTuning(tokens: 2), source).what.contains("which is not how"))

    let json = try JSON(contentsOf: source + "/adapter_config.json")
    func changed(_ change: (JSON) -> JSON, _ tensors: (inout [StoredTensor]) -> Void = { _ in }) throws -> String {
      try place(change(json).indented, "changed/adapter_config.json")
      var stored = try SafeTensorsFile(source + "/adapter.safetensors").stored()
      tensors(&stored)
      try writeStored(stored, to: folder + "/changed/adapter.safetensors")
      return folder + "/changed"
    }
    func config(_ key: String, _ value: JSON) -> (JSON) -> JSON {
      { $0.with("config", ($0["config"] ?? .null).with(key, value)) }
    }
    for (key, value, what) in [
      ("phm_layer", true, "'phm_layer': true is not supported"), ("ln_after", true, "'ln_after'"),
      ("inv_adapter", "nice", "'inv_adapter'"), ("reduction_factor", ["default": 4], "'reduction_factor' is"),
      ("scaling", "learned", "'scaling' is"), ("non_linearity", "leakyrelu", "'non_linearity' leakyrelu"),
      ("reduction_factor", 0, "'reduction_factor' 0"), ("residual_before_ln", "post_add", "'residual_before_ln'"),
    ] as [(String, JSON, String)] {
      let path = try changed(config(key, value))
      let fault = try fault { try AdaptedModel.methods(ofAdapter: path, for: model) }
      XCTAssertEqual(fault.kind, .badConfiguration)
      XCTAssertTrue(fault.what.contains(what), "\(fault)")
    }
    let huge = try changed(config("reduction_factor", 0.002))
    XCTAssertTrue(try fault { try AdaptedModel.methods(ofAdapter: huge, for: model) }.what.contains("no reduction by"))
    let odd = try changed { $0.with("name", "../../x") }
    XCTAssertTrue(try fault { try AdaptedModel.methods(ofAdapter: odd, for: model) }.what.contains("no name"))
    let method = AdapterTuning(try settings("houlsby"), name: "task")
    let surplus = try changed({ $0 }) { $0.append(StoredTensor("transformer.h.7.output_adapters.x", [2])) }
    XCTAssertTrue(try refusal(method, surplus).what.contains("has no place"))
    let missing = try changed({ $0 }) { $0.removeLast() }
    XCTAssertTrue(try refusal(method, missing).what.contains("the adapter has no '"))
    try FileManager.default.removeItem(atPath: missing + "/adapter.safetensors")
    XCTAssertTrue(try refusal(method, missing).remedy.contains("use_safetensors=True"))
  }

  /// The library saves a language model's head beside the adapter, trained or not.
  func testTheHeadInTheFilesIsTheModelsOwn() throws {
    let backend = try CPUBackend(threads: 1)
    let source = Golden.fixtures + "/adapters/gpt2-houlsby/adapter_init"
    let model = try ModelFolder(Golden("gpt2").modelFolder)
    try FileManager.default.copyItem(atPath: source, toPath: folder + "/adapter")
    let bare = try AdaptedModel(model, methods: [:])
    try bare.loadWeights(adapter: nil, seed: 0, precision: .float32, backend: backend)
    let head = try XCTUnwrap(bare.model.language.head?.base.weight)
    for (factor, precision, isOwn) in [(Float(1), DType.float32, true), (1, .bfloat16, true), (1.5, .float32, false)] {
      let values = backend.scale(head.value, by: factor)
      try writeSafeTensors([("lm_head.weight", values)], to: folder + "/adapter/model_head.safetensors", backend)
      let adapted = try AdaptedModel(
        model, methods: AdaptedModel.methods(ofAdapter: folder + "/adapter", for: model))
      func load() throws {
        try adapted.loadWeights(adapter: folder + "/adapter", seed: 0, precision: precision, backend: backend)
      }
      if isOwn {
        try load()
      } else {
        XCTAssertTrue(try fault { try load() }.what.contains("a head of its own, 'lm_head.weight'"))
      }
    }
  }

  func testNothingIsMerged() throws {
    let backend = try CPUBackend(threads: 1)
    let adapted = try run("gpt2-houlsby").adapted(backend)
    let fault = try fault { try adapted.exportMerged(to: folder + "/merged", layout: .hub, backend: backend) }
    XCTAssertTrue(fault.what.contains("what adapter adds to the language part"), "\(fault)")
  }
}
