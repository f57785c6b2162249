import OrderedCollections

/// Every metric of generated texts that needs no settings, by its name.
public let textMetrics: OrderedDictionary<String, any TextMetric> = {
  let all: [any TextMetric] = [
    ExactMatch(),
    VQAAccuracy(),
    SquadMatch(),
    RelaxedAccuracy(),
    ANLS(),
    POPE(),
    BLEU(),
    ROUGEL(),
    CIDErD(),
    JSONValidity(),
    JSONFields(),
  ]
  return OrderedDictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
}()
