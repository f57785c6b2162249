import Ground
import XCTest

@testable import RunFile

final class ValidationTests: XCTestCase {
  private let good = "model: m\ndata: {train: [{path: x}]}"

  func testAGoodRunPasses() throws {
    for set in [
      "train.steps=1", "train.schedule.warmup_ratio=1", "train.parts.vision.train=lora", "checkpoint.every=0",
      "train.parts.language.train=qlora", "train.parts.language={train: qlora, quantize: nf4}",
      "train.parts.language.quantize=nf4", "train.parts.vision={train: frozen, quantize: nf4}",
      "train.optimizer={name: adamw8bit, betas: [0.9, 0.95]}",
      "train.optimizer={name: sgd, momentum: 0.9, nesterov: true}",
      "train.optimizer={name: adafactor, scale_parameter: true, epsilon: 1.0e-20}", "train.optimizer={name: lion}",
      "train.ema={}", "train.ema={decay: 0.9, warmup: true}", "train.layer_decay=0.65", "cache.features=off",
      "cache={features: memory, memory_gib: 0, limit_gib: 0.5, folder: null}",
    ] {
      XCTAssertNoThrow(try parsed(good, sets: [set]).validate(), set)
    }
  }

  func testWhatIsMissing() throws {
    try assertFault("", says: "'model' is missing", at: "model")
    try assertFault("model: m", says: "'data.train' has no file", at: "data.train")
    try assertFault(
      "model: m\ndata: {train: [{weight: 1}]}", says: "'data.train.0.path' is missing", at: "data.train.0.path")
    try assertFault(good, sets: ["output=null"], says: "'output' is missing", at: "output")
  }

  func testWhatMakesNoSense() throws {
    for (set, key) in [
      ("train.steps=0", "train.steps"), ("train.steps=-1", "train.steps"),
      ("train={steps: 1, epochs: 1}", "train.steps"),
      ("train.epochs=0", "train.epochs"), ("train.epochs=.nan", "train.epochs"),
      ("train.global_batch=0", "train.global_batch"), ("train.micro_batch=129", "train.micro_batch"),
      ("train.micro_batch=0", "train.micro_batch"), ("train.seed=-1", "train.seed"),
      ("train.clip_norm=0", "train.clip_norm"),
      ("train.parts.language.learning_rate=-1", "train.parts.language.learning_rate"),
      ("train.parts.projector.learning_rate=.nan", "train.parts.projector.learning_rate"),
      ("train.parts.language.weight_decay=-1", "train.parts.language.weight_decay"),
      ("train.parts.language.rank=0", "train.parts.language.rank"),
      ("train.parts.language.alpha=0", "train.parts.language.alpha"),
      ("train.parts.language.dropout=1", "train.parts.language.dropout"),
      ("train.parts.language.dropout=-0.1", "train.parts.language.dropout"),
      ("train.parts.language.targets=[]", "train.parts.language.targets"),
      ("train.parts.language={train: qlora, quantize: none}", "train.parts.language.quantize"),
      ("train.parts.language={train: full, quantize: nf4}", "train.parts.language.quantize"),
      ("train.parts.projector={train: frozen, quantize: nf4}", "train.parts.projector.quantize"),
      ("train.parts={projector: {train: frozen}, language: {train: frozen}}", "train.parts"),
      ("train.objective.cross_entropy=0", "train.objective.cross_entropy"),
      ("train.objective={cross_entropy: 0, contrastive: {weight: 0}}", "train.objective.cross_entropy"),
      ("train.objective.cross_entropy=-1", "train.objective.cross_entropy"),
      ("train.objective.z_loss=1 to .inf over 5", "train.objective.z_loss"),
      ("train.objective.label_smoothing=1", "train.objective.label_smoothing"),
      ("train.objective.learning_rate=.nan", "train.objective.learning_rate"),
      ("train.objective.contrastive.weight=-1", "train.objective.contrastive.weight"),
      ("train.objective.contrastive.temperature=0", "train.objective.contrastive.temperature"),
      ("train.objective.regions={learned: true, temperature: 2}", "train.objective.regions.temperature"),
      ("train.objective.siglip.scale=0", "train.objective.siglip.scale"),
      ("train.objective.siglip.bias=.inf", "train.objective.siglip.bias"),
      ("train.objective.embedding_mse.weight=.nan", "train.objective.embedding_mse.weight"),
      ("train.objective.image_contrast.weight=-0.1", "train.objective.image_contrast.weight"),
      ("train={micro_batch: 1, objective: {image_contrast: {}}}", "train.micro_batch"),
      ("train.objective.distillation={weight: 1}", "train.objective.distillation.model"),
      ("train.objective.distillation={model: x, temperature: 0}", "train.objective.distillation.temperature"),
      ("train.text_dropout=1.1", "train.text_dropout"), ("log.objective_norms_every=-1", "log.objective_norms_every"),
      ("train.optimizer.betas=[0.9]", "train.optimizer.betas"),
      ("train.optimizer.betas=[0.9, 1]", "train.optimizer.betas"),
      ("train.optimizer.epsilon=0", "train.optimizer.epsilon"),
      ("train.optimizer.momentum=0.9", "train.optimizer.momentum"),
      ("train.optimizer={name: sgd, betas: [0.9, 0.99]}", "train.optimizer.betas"),
      ("train.optimizer={name: lion, epsilon: 1.0e-8}", "train.optimizer.epsilon"),
      ("train.optimizer={name: sgd, momentum: 1}", "train.optimizer.momentum"),
      ("train.optimizer={name: sgd, nesterov: true}", "train.optimizer.nesterov"),
      ("train.optimizer={name: adafactor, clip_threshold: 0}", "train.optimizer.clip_threshold"),
      ("train.optimizer={name: adafactor, decay_rate: 0}", "train.optimizer.decay_rate"),
      ("train.optimizer={name: adafactor, smallest_scale: .inf}", "train.optimizer.smallest_scale"),
      ("train.parts.language.lora_plus_ratio=0", "train.parts.language.lora_plus_ratio"),
      ("train.parts.projector.lora_plus_ratio=16", "train.parts.projector.lora_plus_ratio"),
      ("train.layer_decay=0", "train.layer_decay"), ("train.layer_decay=1.1", "train.layer_decay"),
      ("train.ema.decay=1", "train.ema.decay"), ("train.ema.decay=.nan", "train.ema.decay"),
      ("train.schedule.warmup_ratio=1.1", "train.schedule.warmup_ratio"),
      ("train.schedule.warmup_steps=-1", "train.schedule.warmup_steps"),
      ("data.max_length=1", "data.max_length"), ("data.train.0.weight=0", "data.train"),
      ("data.train.0.weight=-1", "data.train.0.weight"), ("parallel.zero=4", "parallel.zero"),
      ("checkpoint.every=-1", "checkpoint.every"), ("checkpoint.keep=0", "checkpoint.keep"),
      ("log.every=0", "log.every"), ("cache.memory_gib=-0.1", "cache.memory_gib"),
      ("cache.memory_gib=.nan", "cache.memory_gib"), ("cache.limit_gib=.inf", "cache.limit_gib"),
      ("cache.limit_gib=1.0e12", "cache.limit_gib"), ("parallel.zero=3", "parallel.zero"),
      ("evaluate.image_use=true", "evaluate.image_use"),
    ] {
      try assertFault(good, sets: [set], says: "'\(key)' ", at: key)
    }
  }

  /// Numbers whose products could not be counted.
  func testWhatIsTooLarge() throws {
    let large = Int.max
    for (set, key) in [
      ("train.steps=\(large)", "train.steps"), ("train.epochs=1e18", "train.epochs"),
      ("train.epochs=1e300", "train.epochs"), ("train.epochs=.inf", "train.epochs"),
      ("train.global_batch=\(large)", "train.global_batch"),
      ("train.schedule.warmup_steps=\(large)", "train.schedule.warmup_steps"),
      ("train.parts.language.rank=\(large)", "train.parts.language.rank"),
      ("train.parts.language.rank_pattern={q_proj: \(large)}", "train.parts.language.rank_pattern"),
      ("train.parts.language={train: prefix, projection: \(large)}", "train.parts.language.projection"),
      ("train.parts.language={train: adapter, reduction: 1e300}", "train.parts.language.reduction"),
      ("evaluate.max_new_tokens=\(large)", "evaluate.max_new_tokens"),
      ("evaluate.probe.records=\(large)", "evaluate.probe.records"),
    ] {
      try assertFault(good, sets: [set], says: "'\(key)' ", at: key)
    }
    XCTAssertNoThrow(
      try parsed(good, sets: ["train={steps: \(Most.steps), global_batch: \(Most.steps)}"]).validate())
  }

  func testWhatThisVersionCannotRunYetIsReadAndRefused() throws {
    for (set, key) in [
      ("parallel.strategy=shard", "parallel.strategy")
    ] {
      XCTAssertNoThrow(try parsed(good, sets: [set]), set)
      try assertFault(good, sets: [set], says: "this version cannot run '\(key)", at: key)
    }
  }
}
