import Adapters
import Batching
import Checkpoints
import Datasets
import Evaluation
import Foundation
import Ground
import Models
import Parallel
import SafeTensors
import Tensors
import TestSupport
import Training
import XCTest

/// Prompt and prefix tuning against PEFT, over the models of the goldens.
final class PromptTests: FolderTests {
  static let trained = [
    "gpt2-prompt", "gpt2-prefix", "gpt2-ptuning", "llava-clip-llama-prompt",
    "llava-clip-llama-prefix",
    "llava-clip-llama-projected", "llava-siglip-qwen2-prefix",
  ]

  private func run(_ name: String) throws -> MethodRun {
    var run = try MethodRun(name, in: "prompts") { figures in
      let tokens = figures["tokens"]?.integer ?? 0
      if let text = figures["text"]?.string { return PromptTuning(tokens: tokens, start: .text(text)) }
      if name.hasSuffix("ptuning") { return PTuning(tokens: tokens, projection: figures["projection"]?.integer) }
      guard name.hasSuffix("prompt") else {
        return PrefixTuning(tokens: tokens, projection: figures["projection"]?.integer)
      }
      return PromptTuning(tokens: tokens)
    }
    let path = run.folder + "/projection.safetensors"
    if FileManager.default.fileExists(atPath: path) {
      run.prepare = { adapted, backend in
        for (own, values) in try projection(SafeTensorsFile(path), "", adapted) {
          own.value = backend.tensor(values, own.shape)
        }
      }
    }
    return run
  }

  func testTwelveSteps() throws {
    for name in PromptTests.trained {
      let run = try run(name)
      let (trainer, backend) = try run.start(SingleProcess())
      run.compareLosses(try run.losses(trainer.adapted, backend), "nll")
      let loader = try run.loader(after: 0, SingleProcess())
      try run.compare(try (0..<run.plan.steps).map { _ in try trainer.trainStep(loader) })
      run.compareLosses(try run.losses(trainer.adapted, backend), "nll_after")
      let own = folder + "/" + name
      try trainer.adapted.saveAdapter(to: own, backend: backend)
      try run.compareFiles(own + "/adapter_model.safetensors", run.folder + "/adapter_final/adapter_model.safetensors")
      // What PEFT's configuration says ours says too, but for where the model lies and PEFT's version.
      let (said, wanted) = (
        try JSON(contentsOf: own + "/adapter_config.json"),
        try JSON(contentsOf: run.folder + "/adapter_final/adapter_config.json")
      )
      for (key, value) in wanted.object ?? [:] where !["peft_version", "base_model_name_or_path"].contains(key) {
        if key == "encoder_hidden_size", said[key] == nil { continue }
        XCTAssertEqual(said[key], value, "\(name): \(key)")
      }
    }
  }

  /// The gradient of the first step, clipped by nothing: of the mean loss over its four records.
  func testGradients() throws {
    for name in PromptTests.trained {
      let run = try run(name)
      let backend = try CPUBackend(threads: 1)
      let adapted = try run.adapted(backend)
      let wanted = try SafeTensorsFile(run.folder + "/golden.safetensors")
      let first = run.plan.globalBatch
      let samples = try (0..<first).map {
        try run.golden.sample($0, imageToken: adapted.model.eyes?.imageTokenID)
      }
      // All four records in one ragged batch: each behind virtual tokens of its own.
      let batch = try Batch(samples)
      for recomputes in [false, true] {
        let context = Context(backend, recording: true, recomputesLayers: recomputes)
        let (sum, _) = try loss(of: batch, adapted, context)
        var found: [String: [Float]] = [:]
        let scale = 1 / Float(batch.supervised)
        context.backward(from: sum, seed: backend.tensor([scale], [1])) { found[$0.name] = backend.read($1) }
        for (own, values) in try projection(wanted, "grad.prompt_encoder.", adapted) {
          let gradient = try XCTUnwrap(found[own.name], own.name)
          XCTAssertLessThan(relativeDistance(gradient, values), 2e-5, "\(name) \(own.name)")
        }
      }
    }
  }

  func testTheLineThatCountsIsPEFTs() throws {
    for name in PromptTests.trained {
      let run = try run(name)
      let line = try AdaptedModel(ModelFolder(run.golden.modelFolder), methods: run.methods).parameterLine
      let (trained, all) = (run.figures["trainable_parameters"]?.integer, run.figures["all_parameters"]?.integer)
      XCTAssertTrue(
        line.hasPrefix("trainable params: \(grouped(trained ?? 0)) || all params: \(grouped(all ?? 0)) ||"), line)
    }
  }

  func testAPromptBeginsWithAText() throws {
    var run = try run("llava-clip-llama-text")
    let backend = try CPUBackend(threads: 1)
    let wanted = try SafeTensorsFile(run.folder + "/adapter_init/adapter_model.safetensors").floats("prompt_embeddings")
    run.adapter = nil
    let adapted = try run.adapted(backend)
    XCTAssertEqual(backend.read(try XCTUnwrap(adapted.trainable.first).value), wanted)
    run.compareLosses(try run.losses(adapted, backend), "nll")
    try adapted.saveAdapter(to: folder + "/text", backend: backend)
    let said = try JSON(contentsOf: folder + "/text/adapter_config.json")
    XCTAssertEqual(said["prompt_tuning_init"], "TEXT")
    XCTAssertEqual(said["prompt_tuning_init_text"]?.string, run.figures["text"]?.string)
  }

  /// The reference's continuation, found by whole passes, is found token by token with a cache.
  func testGenerationWithACache() throws {
    for name in PromptTests.trained {
      let run = try run(name)
      let backend = try CPUBackend(threads: 1)
      let path = run.folder + "/adapter_final"
      let folder = try ModelFolder(run.golden.modelFolder)
      // As a command would: the files say how they were trained.
      let adapted = try AdaptedModel(folder, methods: AdaptedModel.methods(ofAdapter: path, for: folder))
      try adapted.loadWeights(
        adapter: path, seed: 0, precision: .float32, isForTraining: false, backend: backend)
      run.compareLosses(try run.losses(adapted, backend), "nll_after")
      let greedy = try XCTUnwrap(run.golden.json["greedy"]?.array?.first)
      let ids = greedy.integers("input_ids").map(Int32.init)
      let pixels = try (greedy["images"]?.array ?? []).compactMap(\.string).map { image in
        let values = try run.golden.pixels(image)
        let size = Int(Double(values.count / 3).squareRoot().rounded())
        return Pixels(values: values, height: size, width: size)
      }
      let token = adapted.model.eyes?.imageTokenID
      let sample = Sample(
        ids: ids, supervised: ids.map { _ in false }, pixels: pixels,
        imagePositions: ids.indices.filter { Int(ids[$0]) == token }, place: "greedy", index: 0)
      let found = try TextGenerator(adapted.model, endTokens: [], backend).generate(sample, count: 12)
      XCTAssertEqual(found, run.figures.integers("new_ids"), name)
    }
  }

  func testTheSameBitsOnAnyNumberOfRanks() throws {
    for name in ["llava-clip-llama-prompt", "llava-clip-llama-projected"] {
      var run = try run(name)
      let wanted = try run.train(steps: 4).weights
      for (ranks, threads) in [(2, 1), (3, 2)] {
        run.threads = threads
        XCTAssertEqual(try run.train(ranks: ranks, steps: 4).weights, wanted, "\(name) \(ranks) ranks")
      }
      run.recomputes = true
      XCTAssertEqual(try run.train(steps: 4).weights, wanted, "\(name) recomputed")
    }
  }

  func testResumingGivesTheSameBits() throws {
    for name in ["gpt2-prompt", "llava-clip-llama-projected", "gpt2-ptuning"] {
      let run = try run(name)
      let (whole, backend) = try run.start(SingleProcess())
      let loader = try run.loader(after: 0, SingleProcess())
      let place = folder + "/" + name
      for step in 1...5 {
        _ = try whole.trainStep(loader)
        if step == 3 { try whole.save(in: place, configurationHash: "", extras: [:], SingleProcess(), backend) }
      }
      let (rest, other) = try run.start(SingleProcess())
      try rest.restore(Checkpoint(folder: place + "/" + CheckpointFolder.name(3)), other)
      let later = try run.loader(after: 3, SingleProcess())
      for _ in 4...5 { _ = try rest.trainStep(later) }
      for (a, b) in zip(whole.adapted.trainable, rest.adapted.trainable) {
        XCTAssertEqual(backend.read(a.value).map(\.bitPattern), other.read(b.value).map(\.bitPattern), a.name)
      }
    }
  }
}

/// Σ −log p over a batch, on the tape of `context`.
func loss(of batch: Batch, _ adapted: AdaptedModel, _ context: Context) throws -> (sum: Tensor, value: Double) {
  let onDevice = DeviceBatch(batch, context.backend)
  let hidden = adapted.model.hidden(
    onDevice.tokens, imageRows: onDevice.imageRows, pictures: onDevice.pictures, rows: onDevice.targetRows, context)
  let (sum, nll) = adapted.model.crossEntropy(hidden, targets: onDevice.targets, context)
  return (sum, context.backend.read(nll).reduce(0) { $0 + Double($1) })
}

/// The state of PEFT's prompt encoder, cut into the program's parameters.
private func projection(
  _ file: SafeTensorsFile, _ prefix: String, _ adapted: AdaptedModel
) throws -> [(Parameter, [Float])] {
  let own = adapted.trainable.filter { MultimodalModel.part(of: $0.name) == .language }
  let embedding = try file.floats(prefix + "embedding.weight")
  if own.count == 1 { return [(own[0], embedding)] }
  guard own[0].name.hasSuffix("embedding") else {
    // [n, layers·2·D]: of every row the keys and values of every layer.
    let (rows, width) = (own[0].shape[0], own[0].shape[1])
    return own.enumerated().map { index, parameter in
      var values: [Float] = []
      for row in 0..<rows {
        let start = (row * own.count + index) * width
        values += embedding[start..<start + width]
      }
      return (parameter, values)
    }
  }
  if own.contains(where: { $0.name.contains("prompt_encoder") }) {
    let names = ["0", "2", "4"].flatMap { ["mlp_head.\($0).weight", "mlp_head.\($0).bias"] }
    return try [(own[0], embedding)] + zip(own.dropFirst(), names).map { ($0, try file.floats(prefix + $1)) }
  }
  let second = (try file.floats(prefix + "transform.2.weight"), try file.floats(prefix + "transform.2.bias"))
  var all = [
    (own[0], embedding), (own[1], try file.floats(prefix + "transform.0.weight")),
    (own[2], try file.floats(prefix + "transform.0.bias")),
  ]
  var (weightStart, biasStart) = (0, 0)
  for index in stride(from: 3, to: own.count, by: 2) {
    let (weight, bias) = (own[index], own[index + 1])
    all.append((weight, Array(second.0[weightStart..<weightStart + weight.count])))
    all.append((bias, Array(second.1[biasStart..<biasStart + bias.count])))
    weightStart += weight.count
    biasStart += bias.count
  }
  return all
}
