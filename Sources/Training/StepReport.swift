import Batching
import Evaluation
import Ground
import OrderedCollections

/// What is known of a step once it is done: a line of `metrics.jsonl`.
public struct StepReport: Equatable, Sendable {
  public var step: Int
  /// Nil where the run has no stages.
  public var stage: String?
  /// Σ weight · mean over the objectives, the means over the whole global batch.
  public var loss: Double
  public var losses: OrderedDictionary<String, Double>
  /// What each objective was divided by, where that is not the supervised tokens.
  public var counts: OrderedDictionary<String, Int> = [:]
  /// The numbers that objectives train of their own, after the step.
  public var learned: OrderedDictionary<String, Double> = [:]
  /// The norm of each objective's gradient, weight included, by part; where measured.
  public var objectiveNorms: OrderedDictionary<String, OrderedDictionary<String, Double>> = [:]
  /// ‖Δw‖ / ‖w‖ of what is trained in each part; where measured.
  public var updateSizes: OrderedDictionary<String, Double> = [:]
  public var supervisedTokens: Int
  /// What the supervised tokens count together, where that is not their number: what losses of tokens are divided by.
  public var supervisedWeight: Double?
  public var tokens: Int
  public var images: Int
  /// How many of the pictures had been seen before, over all ranks; nil where features are not kept.
  public var lookups: FeatureLookups?
  /// Before clipping.
  public var gradientNorm: Double
  public var gradientNorms: OrderedDictionary<String, Double>
  public var learningRates: OrderedDictionary<String, Double>
  public var seconds: Double
  /// The longest that any rank waited for data.
  public var dataSeconds: Double
  public var communicationSeconds: Double
  /// What of it was not hidden behind the backward pass, on the rank where most was not.
  public var exposedSeconds: Double
  /// What of that was the wait for ranks that had not come so far: how much less the rank waited that waited least.
  public var skewSeconds = 0.0
  /// Bytes that all ranks sent.
  public var bytesSent: Int
  /// Of the largest rank.
  public var peakMemory: Int
  /// The work of the rank that had most of it over the mean of all ranks: tokens, those of pictures twice.
  public var workImbalance = 1.0
  /// What an evaluation after the step found on held-out records, and whether pictures are used; nil where there was none.
  public var evaluation: OrderedDictionary<String, Double>?
  public var evaluationImageUse: JSON?
  /// A few held-out records with their own pictures and with others; nil where nobody looked.
  public var imageUse: ImageProbe.Reading?
  /// How long both took.
  public var evaluationSeconds: Double?

  /// Whether the features of whole records are kept, so that a model reads each record once, and a step none of its tokens.
  public var keepsStates = false

  /// Nil where the features of whole records are kept: the step's time does not go into its tokens.
  public var tokensPerSecond: Double? { keepsStates ? nil : seconds > 0 ? Double(tokens) / seconds : 0 }
  /// Nil where nothing is kept.
  public var lookupsPerSecond: Double? {
    guard let lookups, seconds > 0 else { return nil }
    return Double(lookups.hits + lookups.misses) / seconds
  }

  public var json: JSON {
    var json: OrderedDictionary<String, JSON> = [
      "step": .integer(step), "loss": .number(loss), "losses": .object(losses.mapValues(JSON.number)),
      "supervised_tokens": .integer(supervisedTokens), "tokens": .integer(tokens), "images": .integer(images),
      "grad_norm": .number(gradientNorm), "grad_norms": .object(gradientNorms.mapValues(JSON.number)),
      "learning_rates": .object(learningRates.mapValues(JSON.number)), "seconds": .number(seconds),
      "data_wait_s": .number(dataSeconds),
      "communication": [
        "total_s": .number(communicationSeconds), "exposed_s": .number(exposedSeconds), "skew_s": .number(skewSeconds),
        "bytes": .integer(bytesSent),
      ],
      "peak_memory_bytes": .integer(peakMemory), "work_imbalance": .number(workImbalance),
    ]
    if let tokensPerSecond, let place = json.index(forKey: "data_wait_s") {
      json.updateValue(.number(tokensPerSecond), forKey: "tokens_per_second", insertingAt: place)
    }
    json["supervised_weight"] = supervisedWeight.map(JSON.number)
    if !counts.isEmpty { json["counts"] = .object(counts.mapValues(JSON.integer)) }
    if !learned.isEmpty { json["learned"] = .object(learned.mapValues(JSON.number)) }
    if !objectiveNorms.isEmpty {
      json["objective_grad_norms"] = .object(objectiveNorms.mapValues { .object($0.mapValues(JSON.number)) })
    }
    if !updateSizes.isEmpty { json["update_sizes"] = .object(updateSizes.mapValues(JSON.number)) }
    if let stage { json["stage"] = .string(stage) }
    if let lookups {
      json["feature_cache"] = ["hits": .integer(lookups.hits), "misses": .integer(lookups.misses)]
    }
    if let evaluation {
      var figures = evaluation.mapValues(JSON.number)
      figures["image_use"] = evaluationImageUse
      json["evaluation"] = .object(figures)
    }
    json["image_use"] = imageUse?.json
    json["evaluation_s"] = evaluationSeconds.map(JSON.number)
    return .object(json)
  }

  /// The keys whose values depend on the clock or on how many ranks there are.
  public static let timingKeys: Set<String> = [
    "seconds", "tokens_per_second", "data_wait_s", "communication", "peak_memory_bytes", "work_imbalance",
    "feature_cache", "evaluation_s",
  ]
}
