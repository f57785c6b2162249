import Batching
import Datasets
import Models
import OrderedCollections
import Parallel
import Tensors

/// A micro-batch of a step.
final class MicroBatch {
  let batch: Batch
  let step: Int
  /// Its number in the global batch.
  let index: Int
  private var known: DeviceBatch?

  init(_ batch: Batch, step: Int, index: Int) { (self.batch, self.step, self.index) = (batch, step, index) }

  /// The batch on the device; pictures are looked up once.
  func inputs(_ backend: any Backend, _ features: FeatureCache?, withPictures: Bool) -> DeviceBatch {
    if let known { return known }
    let made = DeviceBatch(batch, backend, features: features, withPictures: withPictures)
    known = made
    return made
  }
}

extension Trainer {
  /// The stream of everything random in a micro-batch: the same whenever it goes through the model in its step.
  private func randomness(_ micro: MicroBatch) -> RandomStream {
    RandomStream([plan.seed, UInt64(micro.step), UInt64(micro.index)])
  }

  private func makePass(_ micro: MicroBatch, states known: Tensor? = nil, _ context: Context) -> ForwardPass {
    let stream = RandomStream([plan.seed, UInt64(micro.step)])
    let first = micro.index * plan.microBatch
    let noise = plan.embeddingNoise.map {
      $0(micro.batch, first: first, width: adapted.model.language.width, stream.named("neftune"), backend)
    }
    let dropped = plan.textDropout.flatMap { $0.rows(micro.batch, first: first, stream.named("text dropout"), backend) }
    return ForwardPass(
      adapted.model, micro.batch, micro.inputs(backend, features, withPictures: self.states == nil), states: known,
      noise: noise, dropped: dropped,
      context)
  }

  /// Forward and backward of one micro-batch; its gradients go to the reducer as they become complete.
  ///
  /// - Parameters:
  ///   - own: its place among this rank's micro-batches.
  ///   - isRehearsal: only what something flows back from is computed, and nothing is counted.
  func compute(_ micro: MicroBatch, _ mixture: Mixture, own: Int, isRehearsal: Bool = false) -> Tally {
    let batch = micro.batch
    var tally = Tally(batch, mixture.objectives)
    let asked = mixture.objectives.indices.filter {
      tally.counts[$0] > 0 && (mixture.seeds[$0] > 0 || !isRehearsal)
    }
    guard !asked.isEmpty else { return tally }
    let context = Context(
      backend, recording: true, randomness: randomness(micro), recomputesLayers: plan.recomputes)
    let pass = profile.phase(.forward) {
      var known: Tensor?
      if let states {
        let (rows, lookups) = states.rows(of: batch)
        known = rows
        if let lookups { (tally.hits, tally.misses) = (Double(lookups.hits), Double(lookups.misses)) }
      }
      let pass = makePass(micro, states: known, context)
      if asked.contains(where: { mixture.objectives[$0].readsStates }), batch.supervised > 0 { _ = pass.states }
      return pass
    }
    if let lookups = pass.inputs.lookups {
      (tally.hits, tally.misses) = (Double(lookups.hits), Double(lookups.misses))
    }
    let roots = profile.phase(.loss) { self.roots(pass, mixture, asked, own: own, &tally, context) }
    guard !roots.isEmpty else { return tally }
    profile.phase(.backward) {
      context.backward(from: roots) { parameter, gradient in
        guard let index = indices[ObjectIdentifier(parameter)] else { return }
        backend.withBytes(of: gradient) { bytes in
          reducer.add(
            microBatch: micro.index, parameter: index, gradient: bytes.bindMemory(to: Float.self), owner: gradient)
        }
      }
    }
    return tally
  }

  /// What gradients flow back from, and the sums of the objectives.
  private func roots(
    _ pass: ForwardPass, _ mixture: Mixture, _ asked: [Int], own: Int, _ tally: inout Tally, _ context: Context
  ) -> [(root: Tensor, seed: Tensor)] {
    var roots: [(root: Tensor, seed: Tensor)] = []
    /// Where nothing flows back, nothing is recorded.
    func recorder(_ place: Int) -> Context { mixture.seeds[place] > 0 ? context : Context(backend) }
    func add(_ root: Tensor, _ seed: Double) {
      if seed > 0, context.tracks(root) { roots.append((root, backend.tensor([Float(seed)], [1]))) }
    }
    let tokens = asked.filter { mixture.objectives[$0] is any TokenObjective }
    if tokens.count == 1, let plain = mixture.objectives[tokens[0]] as? CrossEntropy, plain.smoothing == 0 {
      let (sum, nll) = pass.model.crossEntropy(
        pass.states, targets: pass.inputs.targets, weights: pass.inputs.targetWeights, recorder(tokens[0]))
      tally.sums[tokens[0]] = pass.batch.weightedSum(backend.read(nll))
      add(sum, mixture.seeds[tokens[0]])
    } else if !tokens.isEmpty {
      let sum = tokenLosses(pass, mixture, tokens, &tally, context)
      if tokens.contains(where: { mixture.seeds[$0] > 0 }) { add(sum, 1) }
    }
    for place in asked {
      if let objective = mixture.objectives[place] as? any LocalObjective {
        let (sum, value) = objective.loss(pass, recorder(place))
        tally.sums[place] = value
        add(sum, mixture.seeds[place])
      }
      guard let objective = mixture.objectives[place] as? any PairObjective, let found = mixture.outcomes[place]
      else { continue }
      tally.sums[place] = found.sums[own]
      guard mixture.seeds[place] > 0, let visual = found.visual[own], let textual = found.textual[own] else { continue }
      let features = pass.pairs(objective.pairs)
      for (root, gradient) in [(features.visual, visual), (features.textual, textual)] where context.tracks(root) {
        roots.append((root, backend.scale(gradient, by: Float(mixture.seeds[place]))))
      }
    }
    return roots
  }

  /// The objectives that share the logits of the next tokens.
  private func tokenLosses(
    _ pass: ForwardPass, _ mixture: Mixture, _ places: [Int], _ tally: inout Tally, _ context: Context
  ) -> Tensor {
    var terms = TokenTerms()
    let objectives = places.map { (place: $0, objective: mixture.objectives[$0] as? any TokenObjective) }
    for (place, objective) in objectives { objective?.add(to: &terms, weight: Float(mixture.seeds[place])) }
    let inputs = pass.inputs
    let taught =
      objectives.contains { $0.objective is Distillation }
      ? teacher.map { teacher in
        (
          teacher,
          teacher.hidden(
            inputs.tokens, imageRows: inputs.imageRows, pictures: inputs.pictures, rows: inputs.targetRows,
            Context(backend))
        )
      } : nil
    let isSilent = places.allSatisfy { mixture.seeds[$0] == 0 }
    let found = pass.model.tokenLosses(
      pass.states, targets: inputs.targets, weights: inputs.targetWeights, teacher: taught, terms,
      isSilent ? Context(backend) : context)
    let sums = TokenSums(
      crossEntropy: found.crossEntropy, squaredLogSum: found.squaredLogSum, distillation: found.distillation)
    for (place, objective) in objectives { tally.sums[place] = objective?.value(sums) ?? 0 }
    return found.sum
  }

  // MARK: Before any gradient flows

  /// Counts over the whole global batch, and what pair objectives find in the features of all its pairs.
  func survey(_ own: [MicroBatch], of count: Int, for mixture: inout Mixture) throws {
    let objectives = mixture.objectives
    let kinds = Set(objectives.compactMap { ($0 as? any PairObjective)?.pairs })
    var features: [ForwardPass.PairKind: [PairFeatures?]] = [:]
    for micro in own {
      let context = Context(backend, randomness: randomness(micro))
      let pass = makePass(micro, context)
      for kind in kinds {
        let found = profile.phase(.forward) { pass.places(kind).isEmpty ? nil : pass.pairs(kind) }
        features[kind, default: []].append(found)
      }
    }
    let records = own.enumerated().flatMap { place, micro in
      objectives.map { objective in
        // Features are as wide on every rank; one without any learns it from the others.
        let width = (objective as? any PairObjective).flatMap { features[$0.pairs]?[place]?.visual.width } ?? 0
        return [objective.counted.count(in: micro.batch), Double(width)]
      }.joined()
    }
    let width = 2 * objectives.count
    let all = try profile.phase(.communication) {
      try communicator.gatherMicroBatches(records, width: width, count: count)
    }
    func column(_ number: Int) -> [Double] { (0..<count).map { all[$0 * width + number] } }
    let counts = objectives.indices.map { column(2 * $0) }
    mixture.know(counts.map { $0.reduce(0, +) })
    for (place, objective) in objectives.enumerated() {
      guard let objective = objective as? any PairObjective, let parameters = pairParameters[place] else { continue }
      let wide = Int(column(2 * place + 1).max() ?? 0)
      guard wide > 0 else { continue }
      let field = PairField(
        features[objective.pairs] ?? [], counts: counts[place].map(Int.init), width: wide, communicator, backend)
      let found = try profile.phase(.loss) { try objective.losses(field, parameters.numbers(backend)) }
      mixture.outcomes[place] = found
      let slopes = try communicator.sumInOrder(
        zip(found.scaleSlopes, found.biasSlopes).flatMap { [$0, $1] }, width: 2, count: count)
      mixture.slopes[place] = (slopes[0], slopes[1])
    }
  }

  /// The gradients of scales and biases that are trained, by parameter.
  func pairSlopes(_ mixture: Mixture) -> [Int: Double] {
    var found: [Int: Double] = [:]
    for (place, slopes) in mixture.slopes where mixture.seeds[place] > 0 {
      let parameters = pairParameters[place]
      for (parameter, slope) in [(parameters?.logitScale, slopes.scale), (parameters?.logitBias, slopes.bias)] {
        guard let parameter, let index = indices[ObjectIdentifier(parameter)] else { continue }
        found[index, default: 0] += slope * mixture.seeds[place]
      }
    }
    return found
  }

  /// The norm of each objective's gradient by part, its weight included: each flows back alone, and is forgotten.
  func measureObjectives(
    _ own: [MicroBatch], of count: Int, _ mixture: Mixture
  ) throws -> OrderedDictionary<String, OrderedDictionary<String, Double>> {
    var norms: OrderedDictionary<String, OrderedDictionary<String, Double>> = [:]
    for (place, objective) in mixture.objectives.enumerated() {
      let alone = mixture.only(place)
      try reducer.beginStep(microBatchCount: count)
      for (number, micro) in own.enumerated() { _ = compute(micro, alone, own: number, isRehearsal: true) }
      let reduced = try profile.phase(.communication) { try reducer.finish() }
      let scale = alone.scale(of: mixture.counts ?? [])
      let gradients: [Tensor?] = parameters.indices.map { index in
        guard reduced.present[index] else { return nil }
        return backend.adopt(
          UnsafeRawBufferPointer(reduced.gradients[index]), shape: parameters[index].shape, dtype: .float32,
          owner: reducer)
      }
      norms[objective.name] = named(squares(gradients).parts.mapValues { $0.squareRoot() * scale })
    }
    return norms
  }
}
