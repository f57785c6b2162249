import Adapters
import Batching
import Datasets
import Foundation
import Ground
import Models
import OrderedCollections
import Parallel
import Tensors

/// The training loop: forward, backward, reduction over the global batch, clipping, update.
///
/// Loss, gradients and weights are the same bits on any number of ranks and threads: every micro-batch is computed
/// alone, and sums over micro-batches follow their index.
public final class Trainer {
  public let adapted: AdaptedModel
  public let plan: TrainingPlan
  /// Updates done so far, counted from the start of the run.
  public internal(set) var step: Int

  let optimizer: Optimizer
  let average: MovingAverage?
  let backend: any Backend
  let communicator: any Communicator
  let reducer: GradientReducer
  let parameters: [Parameter]
  let indices: [ObjectIdentifier: Int]
  let features: FeatureCache?
  let states: StateCache?
  let teacher: MultimodalModel?
  /// The numbers of pair objectives, by their place among the objectives.
  let pairParameters: [Int: PairParameters]
  let profile: Profile?
  private let trainedParts: Set<ModelPart>
  private let batches: BatchPlan
  /// The first micro-batch of the next step, where it has been taken already.
  private var upcoming: MicroBatch?

  /// - Parameter profile: is told of the phases of each step.
  /// - Precondition: the model's parameters have values.
  /// - Parameters: `features` keeps what a frozen vision encoder sees, `states` what a head on frozen features gets; no
  ///   bit depends on what is kept. `teacher` is what distillation learns from.
  public init(
    _ adapted: AdaptedModel, _ plan: TrainingPlan, features: FeatureCache? = nil, states: StateCache? = nil,
    teacher: MultimodalModel? = nil, _ communicator: any Communicator, _ backend: any Backend, profile: Profile? = nil
  ) {
    self.features = features
    self.states = states ?? StateCache(adapted.model, backend)
    self.teacher = teacher
    self.profile = profile
    self.adapted = adapted
    self.plan = plan
    step = plan.stepsBefore
    self.communicator = communicator
    self.backend = backend
    // Gradients become complete in the reverse of the order in which parameters are first used.
    pairParameters = Dictionary(
      uniqueKeysWithValues: plan.objectives.enumerated().compactMap { place, objective in
        (objective as? any PairObjective).map { (place, PairParameters($0, adapted.model, backend)) }
      })
    let own = pairParameters.sorted { $0.key < $1.key }.flatMap(\.value.trained)
    parameters = adapted.trainable.reversed() + own
    indices = Dictionary(
      uniqueKeysWithValues: parameters.enumerated().map { (ObjectIdentifier($0.element), $0.offset) })
    trainedParts = Set(adapted.trainable.map { MultimodalModel.part(of: $0.name) })
    let factors = RateFactors(
      adapted.model.parameters, layerDecay: plan.layerDecay,
      loraPlusRatios: plan.parts.compactMapValues(\.loraPlusRatio))
    optimizer = Optimizer(parameters, plan.optimizer, rateFactor: factors.callAsFunction, backend)
    average = plan.average.map { MovingAverage(adapted.trainable, $0, backend) }
    reducer = GradientReducer(
      layout: BucketLayout(parameterSizes: parameters.map(\.count)), communicator: communicator,
      deterministic: plan.isDeterministic, profile: profile)
    batches = BatchPlan(globalBatch: plan.globalBatch, microBatch: plan.microBatch)
  }

  /// Does the next step with this rank's micro-batches, which the loader delivers in order: the same one for all steps.
  public func trainStep(_ loader: Loader) throws -> StepReport {
    guard let profile else { return try doStep(loader) }
    return try profile.span(.step, "step \(step + 1)", Profile.Work()) { try doStep(loader) }
  }

  private func doStep(_ loader: Loader) throws -> StepReport {
    let began = DispatchTime.now().uptimeNanoseconds
    let number = step + 1
    communicator.activity = "step \(number)"
    let run = batches.microBatches(ofRank: communicator.rank, of: communicator.count)
    var waited = 0.0
    func take(_ index: Int) throws -> MicroBatch {
      try profile.phase(.data) {
        if let upcoming {
          self.upcoming = nil
          return upcoming
        }
        guard let delivery = try loader.next() else {
          throw Fault(.internalError, "the data ended before step \(number)", "report this")
        }
        waited += delivery.secondsWaited
        return microBatch(delivery, step: number, index: index)
      }
    }
    var mixture = Mixture(plan.objectives, step: number - plan.stepsBefore)
    let isMeasured = plan.measuresEvery > 0 && number % plan.measuresEvery == 0
    var norms: OrderedDictionary<String, OrderedDictionary<String, Double>> = [:]
    var kept: [MicroBatch]?
    if mixture.needsCounts || isMeasured && mixture.isMixed {
      let all = try run.map(take)
      try survey(all, of: batches.microBatches, for: &mixture)
      if isMeasured && mixture.isMixed { norms = try measureObjectives(all, of: batches.microBatches, mixture) }
      kept = all
    }
    try reducer.beginStep(microBatchCount: batches.microBatches)
    var tallies: [Double] = []
    var work = 0.0
    for index in run {
      let batch = try kept?[index - run.lowerBound] ?? take(index)
      work += Double(batch.batch.tokens + batch.batch.imageRows.count)
      tallies += compute(batch, mixture, own: index - run.lowerBound).numbers
    }
    lookAhead(loader, step: number + 1, index: run.lowerBound)
    let (reduced, totals) = try profile.phase(.communication) {
      (
        try reducer.finish(),
        try communicator.sumInOrder(
          tallies, width: Tally.width(plan.objectives.count), count: batches.microBatches)
      )
    }
    let total = Tally(totals)
    if let odd = total.sums.firstIndex(where: { !$0.isFinite }) {
      throw notFinite("the loss '\(plan.objectives[odd].name)' is \(total.sums[odd])", step: number)
    }
    var report = try profile.phase(.optimizer) {
      try update(reduced, total, mixture, step: number, measures: isMeasured)
    }
    report.tokens = Int(total.tokens)
    report.images = Int(total.images)
    report.objectiveNorms = norms
    report.keepsStates = states?.store != nil
    if features != nil || states?.store != nil {
      report.lookups = FeatureLookups(hits: Int(total.hits), misses: Int(total.misses))
    }
    step = number
    try profile.phase(.communication) { try measure(&report, began: began, waited: waited, work: work) }
    return report
  }

  private func microBatch(_ delivery: Loader.Delivery, step: Int, index: Int) -> MicroBatch {
    let own = step - plan.stepsBefore
    precondition(
      delivery.step == own && delivery.microBatch == index,
      "trainStep: micro-batch \(delivery.microBatch) of step \(delivery.step) where \(index) of \(own) is wanted")
    return MicroBatch(delivery.batch, step: step, index: index)
  }

  /// While gradients are on their way, a frozen encoder looks at the pictures that come next.
  private func lookAhead(_ loader: Loader, step: Int, index: Int) {
    guard let features, states == nil, reducer.isUnderWay, let delivery = loader.nextIfReady() else { return }
    let next = microBatch(delivery, step: step, index: index)
    upcoming = next
    profile.phase(.lookAhead) { _ = next.inputs(backend, features, withPictures: true) }
  }

  /// What ends a run before numbers that are none reach its weights: all ranks find the same.
  private func notFinite(_ what: String, step: Int) -> Fault {
    Fault(
      .internalError, "\(what) in step \(step)", at: "train",
      "lower the learning rates or train.clip_norm and start again, which goes on from the newest checkpoint, or go on from "
        + "an older one by --resume DIR; if that does not help, look at the data with mmdist check")
  }

  /// Normalises, clips and applies the gradients of the whole global batch.
  /// - Throws: `Fault(.internalError)` when the gradients' norm is not finite; then nothing has been changed.
  private func update(
    _ reduced: ReducedGradients, _ total: Tally, _ mixture: Mixture, step: Int, measures: Bool
  ) throws -> StepReport {
    let normaliser = mixture.scale(of: total.counts)
    var gradients: [Tensor?] = parameters.indices.map { index in
      guard reduced.present[index], normaliser > 0 else { return nil }
      return backend.adopt(
        UnsafeRawBufferPointer(reduced.gradients[index]), shape: parameters[index].shape, dtype: .float32,
        owner: reducer)
    }
    for (index, slope) in pairSlopes(mixture) {
      let own = backend.tensor([Float](repeating: Float(slope), count: 1), parameters[index].shape)
      gradients[index] = gradients[index].map { backend.add($0, own) } ?? own
    }
    let (squares, ownSquares) = self.squares(gradients)
    let norms = squares.mapValues { $0.squareRoot() * normaliser }
    let balance = plan.isBalanced ? balance(norms) : [:]
    let balanced = norms.map { $0.value * (balance[$0.key] ?? 1) }.reduce(0) { $0 + $1 * $1 } + ownSquares
    let plain = (squares.values.reduce(0, +)).squareRoot() * normaliser
    let norm = plan.isBalanced || ownSquares > 0 ? balanced.squareRoot() : plain
    guard norm.isFinite, ownSquares.isFinite else {
      let parts = norms.filter { !$0.value.isFinite }.keys.map { " of '\($0.rawValue)'" }
      throw notFinite("the gradient\(parts.first ?? "") is not finite", step: step)
    }
    let clip = plan.clipNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1
    let factor = plan.schedule.factor(step: step - plan.stepsBefore)
    let rate = { [plan] (part: ModelPart?) in
      (part.map { plan.parts[$0]?.learningRate ?? 0 } ?? plan.objectiveRate) * factor
    }
    let sizes = optimizer.update(
      gradients: gradients, gradientScale: Float(normaliser * clip), partScale: { $0.flatMap { balance[$0] } ?? 1 },
      rate: rate, decay: { [plan] in $0.flatMap { plan.parts[$0]?.weightDecay } ?? 0 }, measures: measures)
    for parameters in pairParameters.values { parameters.clamp(backend) }
    average?.update(step: step - plan.stepsBefore)
    var report = StepReport(
      step: step, stage: plan.stage, loss: mixture.loss(total), losses: mixture.means(total),
      supervisedTokens: Int(total.supervised), tokens: 0, images: 0, gradientNorm: norm, gradientNorms: named(norms),
      learningRates: named(
        OrderedDictionary(uniqueKeysWithValues: squares.keys.map { ($0, rate($0)) })), seconds: 0, dataSeconds: 0,
      communicationSeconds: 0, exposedSeconds: 0, bytesSent: 0, peakMemory: 0)
    report.counts = mixture.counts(total)
    report.supervisedWeight = mixture.weight(total)
    for parameter in parameters where parameter.name.hasPrefix(PairParameters.prefix) {
      let name = String(parameter.name.dropFirst(PairParameters.prefix.count))
      report.learned[name] = Double(backend.read(parameter.value)[0])
      if report.gradientNorms["objective"] == nil { report.gradientNorms["objective"] = ownSquares.squareRoot() }
    }
    if measures {
      for part in ModelPart.allCases {
        guard let size = sizes[part], size.weight > 0 else { continue }
        report.updateSizes[part.rawValue] = (size.change / size.weight).squareRoot()
      }
    }
    return report
  }

  /// ‖g‖² of each part, and of what objectives train of their own.
  func squares(_ gradients: [Tensor?]) -> (parts: OrderedDictionary<ModelPart, Double>, own: Double) {
    var squares: OrderedDictionary<ModelPart, Double> = [:]
    var own = 0.0
    for part in ModelPart.allCases where trainedParts.contains(part) { squares[part] = 0 }
    for (parameter, gradient) in zip(parameters, gradients) {
      guard let gradient else { continue }
      if parameter.name.hasPrefix(PairParameters.prefix) {
        own += backend.sumOfSquares(gradient)
      } else {
        squares[MultimodalModel.part(of: parameter.name), default: 0] += backend.sumOfSquares(gradient)
      }
    }
    return (squares, own)
  }

  /// What each part's gradient is multiplied with, so that all have the same norm in proportion to their trained weights,
  /// the geometric mean of what they had (as LARS has it for layers, You et al. 2017, arXiv:1708.03888).
  private func balance(_ norms: OrderedDictionary<ModelPart, Double>) -> [ModelPart: Double] {
    var weights: [ModelPart: Double] = [:]
    for parameter in parameters where !parameter.name.hasPrefix(PairParameters.prefix) {
      weights[MultimodalModel.part(of: parameter.name), default: 0] += backend.sumOfSquares(parameter.value)
    }
    let ratios = norms.compactMap { part, norm -> (part: ModelPart, ratio: Double)? in
      guard let weight = weights[part], weight > 0, norm > 0 else { return nil }
      return (part, norm / weight.squareRoot())
    }
    let middle = exp(ratios.reduce(0) { $0 + log($1.ratio) } / Double(max(ratios.count, 1)))
    return Dictionary(uniqueKeysWithValues: ratios.map { ($0.part, middle / $0.ratio) })
  }

  func named(_ values: OrderedDictionary<ModelPart, Double>) -> OrderedDictionary<String, Double> {
    OrderedDictionary(uniqueKeysWithValues: values.map { ($0.key.rawValue, $0.value) })
  }

  /// Adds what the clock and the system say, over all ranks.
  private func measure(_ report: inout StepReport, began: UInt64, waited: Double, work: Double) throws {
    let own = reducer.statistics
    let mine: [Double] = [
      waited, own.totalSeconds, own.exposedSeconds, Double(own.bytesSent), Double(residentPeak()), work,
    ]
    let all = try communicator.allGather(mine)
    report.dataSeconds = all.map { $0[0] }.max() ?? 0
    report.communicationSeconds = all.map { $0[1] }.max() ?? 0
    report.exposedSeconds = all.map { $0[2] }.max() ?? 0
    report.skewSeconds = report.exposedSeconds - (all.map { $0[2] }.min() ?? 0)
    report.bytesSent = Int(all.reduce(0) { $0 + $1[3] })
    report.peakMemory = Int(all.map { $0[4] }.max() ?? 0)
    let works = all.map { $0[5] }
    let mean = works.reduce(0, +) / Double(works.count)
    report.workImbalance = mean > 0 ? (works.max() ?? mean) / mean : 1
    report.seconds = Double(DispatchTime.now().uptimeNanoseconds - began) * 1e-9
  }
}

/// The most memory that this process ever had resident, in bytes.
func residentPeak() -> Int {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return usage.ru_maxrss * 1024
}
