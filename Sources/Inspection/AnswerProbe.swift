import Foundation

/// Whether questions give their answers away without the pictures: naive Bayes over the words of a question, each turn
/// judged by a model that was fitted to the turns of other records (five parts, by the hash of the record's pictures).
///
/// It is compared with two guessers that look at the kind of question alone, its first two words that are no answers
/// ("Note: red. What is" is of the kind "note what"): the most common answer of that kind, and naive Bayes where answers
/// were exchanged among questions of a kind. What goes beyond both is in the words: a shortcut, by which a model can do
/// without the picture.
public struct AnswerProbe: Equatable, Sendable {
  /// A word that goes with an answer more often than its kind of question explains.
  public struct Clue: Equatable, Sendable {
    public let word: String
    public let answer: String
    /// Turns that hold the word.
    public let count: Int
    /// Of those, the share with that answer.
    public let share: Double
    /// The share that the kinds of their questions let expect.
    public let expected: Double
  }

  /// Turns with an answer of a few words that comes at least five times, in records with pictures.
  public let turns: Int
  /// How many different answers they have.
  public let answers: Int
  /// The share that is answered rightly from the question alone.
  public let accuracy: Double
  /// With the most common answer of all, and with the most common of each kind of question.
  public let majority: Double
  public let majorityByKind: Double
  /// Mean and largest accuracy where answers were exchanged.
  public let exchanged: Double
  public let mostExchanged: Double
  public let clues: [Clue]

  /// How much of the accuracy the kind of question does not explain.
  public var excess: Double { accuracy - max(majorityByKind, mostExchanged) }
  /// A twentieth of the answers, and more than chance does to as few turns.
  public var isShortcut: Bool { excess >= max(0.05, 3 * (0.25 / Double(turns)).squareRoot()) }

  /// A turn as the probe takes it.
  struct Turn {
    var words: [Int]
    var kind: Int
    var answer: Int
    var fold: Int
  }

  static let folds = 5
  static let fewestTurns = 100
  private static let mostTurns = 60_000
  private static let mostAnswers = 200
  private static let mostWords = 4000

  /// Nil where there are too few turns with such answers.
  init?(_ facts: [RecordFacts], words: [UInt32: String]) {
    var counts: [String: Int] = [:]
    let asked = facts.enumerated().flatMap { index, record -> [(record: Int, asked: RecordFacts.Asked)] in
      guard !record.pictures.isEmpty else { return [] }
      return record.asked.filter { !$0.answer.isEmpty && !$0.words.isEmpty }.map { (index, $0) }
    }
    for turn in asked { counts[turn.asked.answer, default: 0] += 1 }
    let names = counts.filter { $0.value >= 5 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(
      AnswerProbe.mostAnswers
    ).map(\.key)
    let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    var wordCounts: [UInt32: Int] = [:]
    for turn in asked { for word in turn.asked.words { wordCounts[word, default: 0] += 1 } }
    let vocabulary = wordCounts.filter { $0.value >= 3 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(
      AnswerProbe.mostWords
    ).map(\.key)
    let places = Dictionary(uniqueKeysWithValues: vocabulary.enumerated().map { ($1, $0) })
    let answerWords = Set(
      names.compactMap { name -> UInt32? in
        let words = Words.hashes(of: name)
        return words.count == 1 ? words[0] : nil
      })
    var kinds: [ArraySlice<UInt32>: Int] = [:]
    var turns: [Turn] = []
    let known = asked.filter { numbers[$0.asked.answer] != nil }
    let step = max(1, known.count / AnswerProbe.mostTurns)
    for place in stride(from: 0, to: known.count, by: step) {
      let (record, turn) = known[place]
      guard let answer = numbers[turn.answer] else { continue }
      let opening = turn.opening.filter { !answerWords.contains($0) }.prefix(2)
      let kind = kinds[opening] ?? kinds.count
      kinds[opening] = kind
      let picture = facts[record].pictures[0].digest.low
      turns.append(
        Turn(
          words: turn.words.compactMap { places[$0] }, kind: kind, answer: answer,
          fold: Int(Shingles.mix(picture, 5) % UInt64(AnswerProbe.folds))))
    }
    guard turns.count >= AnswerProbe.fewestTurns, names.count >= 2 else { return nil }
    let fit = AnswerFit(answers: names.count, words: vocabulary.count, kinds: kinds.count)
    self.turns = turns.count
    answers = names.count
    accuracy = fit.accuracy(turns)
    majority =
      Double(turns.reduce(into: [Int: Int]()) { $0[$1.answer, default: 0] += 1 }.values.max() ?? 0)
      / Double(turns.count)
    majorityByKind = fit.accuracyByKind(turns)
    let rounds = (0..<3).map { round in fit.accuracy(AnswerProbe.exchanged(turns, round)) }
    exchanged = rounds.reduce(0, +) / Double(rounds.count)
    mostExchanged = rounds.max() ?? 0
    clues = AnswerProbe.clues(turns, names, vocabulary.map { words[$0] ?? "?" }, kinds: kinds.count)
  }

  /// The same turns with answers exchanged among questions of one kind.
  private static func exchanged(_ turns: [Turn], _ round: Int) -> [Turn] {
    var result = turns
    for places in Dictionary(grouping: turns.indices, by: { turns[$0].kind }).values {
      let drawn = places.sorted {
        Shingles.mix(UInt64($0), UInt64(round) + 11) < Shingles.mix(UInt64($1), UInt64(round) + 11)
      }
      for (place, other) in zip(places, drawn) { result[place].answer = turns[other].answer }
    }
    return result
  }

  /// Words whose turns have an answer more often than their kinds explain, by how unlikely that is.
  private static func clues(_ turns: [Turn], _ answers: [String], _ words: [String], kinds: Int) -> [Clue] {
    var byKind = [[Double]](repeating: [Double](repeating: 0, count: answers.count), count: kinds)
    for turn in turns { byKind[turn.kind][turn.answer] += 1 }
    for kind in byKind.indices {
      let all = max(1, byKind[kind].reduce(0, +))
      for answer in answers.indices { byKind[kind][answer] /= all }
    }
    var withWord: [Int: [Int]] = [:]
    for (place, turn) in turns.enumerated() { for word in turn.words { withWord[word, default: []].append(place) } }
    var found: [(strength: Double, clue: Clue)] = []
    for (word, places) in withWord.sorted(by: { $0.key < $1.key }) where places.count >= 10 {
      var expected = [Double](repeating: 0, count: answers.count)
      var seen = expected
      for place in places {
        for answer in answers.indices { expected[answer] += byKind[turns[place].kind][answer] }
        seen[turns[place].answer] += 1
      }
      for answer in answers.indices {
        let strength = (seen[answer] - expected[answer]) / max(1, expected[answer]).squareRoot()
        guard strength > 5, 2 * seen[answer] >= Double(places.count), seen[answer] >= 1.2 * expected[answer] else {
          continue
        }
        let all = Double(places.count)
        found.append(
          (
            strength,
            Clue(
              word: words[word], answer: answers[answer], count: places.count, share: seen[answer] / all,
              expected: expected[answer] / all)
          ))
      }
    }
    return found.sorted { ($1.strength, $0.clue.word) < ($0.strength, $1.clue.word) }.prefix(20).map(\.clue)
  }
}

/// Naive Bayes with counts of words and answers.
struct AnswerFit {
  let answers: Int
  let words: Int
  let kinds: Int

  /// The share of turns whose answer is the most likely one given their words, fitted to the other parts.
  func accuracy(_ turns: [AnswerProbe.Turn]) -> Double {
    var right = 0
    for fold in 0..<AnswerProbe.folds {
      var prior = [Float](repeating: 1, count: answers)
      var table = [Float](repeating: 0.1, count: words * answers)
      for turn in turns where turn.fold != fold {
        prior[turn.answer] += 1
        for word in turn.words { table[word * answers + turn.answer] += 1 }
      }
      for word in 0..<words {
        for answer in 0..<answers {
          table[word * answers + answer] = log(table[word * answers + answer] / prior[answer])
        }
      }
      let start = prior.map { log($0) }
      for turn in turns where turn.fold == fold {
        var scores = start
        for word in turn.words { for answer in 0..<answers { scores[answer] += table[word * answers + answer] } }
        if scores.indices.max(by: { scores[$0] < scores[$1] }) == turn.answer { right += 1 }
      }
    }
    return Double(right) / Double(max(1, turns.count))
  }

  /// The share of turns whose answer is the most common one of their kind in the other parts.
  func accuracyByKind(_ turns: [AnswerProbe.Turn]) -> Double {
    var right = 0
    for fold in 0..<AnswerProbe.folds {
      var counts = [Int: [Int: Int]]()
      var all = [Int](repeating: 0, count: answers)
      for turn in turns where turn.fold != fold {
        counts[turn.kind, default: [:]][turn.answer, default: 0] += 1
        all[turn.answer] += 1
      }
      let common = all.indices.max { all[$0] < all[$1] } ?? 0
      let best = counts.mapValues { $0.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? common }
      right += turns.count { $0.fold == fold && best[$0.kind] ?? common == $0.answer }
    }
    return Double(right) / Double(max(1, turns.count))
  }
}
