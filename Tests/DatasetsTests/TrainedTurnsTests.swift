import Ground
import Tokenizers
import XCTest

@testable import Datasets

/// Which turns are trained, and how much each counts.
final class TrainedTurnsTests: XCTestCase {
  private func record(_ line: String, format: String = "auto") throws -> Record {
    let folder = try TemporaryFolder()
    return try RecordSource(
      path: folder.write(line, to: "a.jsonl"), images: Fixtures.folder + "/images", format: format
    )
    .record(0)
  }

  /// Four turns, and what stands in each beside role and text.
  private func talk(_ members: String...) -> String {
    let turns = ["user", "assistant", "user", "assistant"].enumerated().map { number, role in
      let own = members.indices.contains(number) && !members[number].isEmpty ? ", " + members[number] : ""
      return #"{"role": "\#(role)", "content": "text \#(number + 1)"\#(own)}"#
    }
    return #"{"messages": [\#(turns.joined(separator: ", "))]}"#
  }

  // MARK: What records say

  func testMembersOfTurns() throws {
    func told(_ members: String) throws -> (Bool?, Float) {
      let turn = try record(talk("", members)).turns[1]
      XCTAssertEqual(turn.text, "text 2")
      return (turn.isTrained, turn.weight)
    }
    for (members, isTrained, weight) in [
      (#""train": true"#, true, 1), (#""training": false"#, false, 1), (#""loss": false, "weight": 2"#, false, 2),
      (#""train": 0"#, false, 1), (#""train": 1.0, "training": true"#, true, 1), (#""train": null"#, nil, 1),
      (#""weight": 0"#, nil, 0), (#""weight": 0.5"#, nil, 0.5), (#""weight": null, "loss": null"#, nil, 1),
      (#""weight": 1e-60"#, nil, 0), (#""weight": 1000000"#, nil, 1e6),
    ] as [(String, Bool?, Float)] {
      let found = try told(members)
      XCTAssertEqual(found.0, isTrained, members)
      XCTAssertEqual(found.1, weight, members)
    }
    for (members, what) in [
      (#""train": "yes""#, "'train' of turn 2 is a string, not true or false"),
      (#""loss": 0.7"#, "'loss' of turn 2 is a number, not true or false"),
      (#""train": true, "loss": false"#, "'train' and 'loss' of turn 2 differ"),
      (#""weight": -1"#, "'weight' of turn 2 is -1.0"), (#""weight": 1e7"#, "'weight' of turn 2 is 10000000.0"),
      (#""weight": "1""#, "'weight' of turn 2 is a string"),
      (#""train_detail": [{}]"#, "'train_detail' of turn 2 is not supported"),
    ] {
      let fault = try thrownFault { _ = try told(members) }
      XCTAssertEqual(fault.what, what)
      XCTAssertTrue(fault.place?.hasSuffix("a.jsonl:1") == true)
    }
  }

  func testEveryLayoutOfTurnsHasThem() throws {
    for line in [
      #"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "weight": 0.5}]}"#,
      #"{"prompt": "a", "completion": [{"role": "assistant", "content": "b", "weight": 0.5}]}"#,
      #"{"prompt": "a", "chosen": {"role": "assistant", "content": "b", "weight": 0.5}, "rejected": "c"}"#,
      #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "text", "text": "b"}], "weight": 0.5}]}"#,
      #"{"image": "wide.png", "prompt": [{"role": "user", "content": "a", "weight": 0.5}], "completion": "b"}"#,
    ] {
      XCTAssertEqual(try record(line).turns.map(\.weight).sorted(), [0.5, 1], line)
    }
    // A patient's weight is no turn's.
    let patient = try record(#"{"weight": 72, "messages": [{"role": "assistant", "content": "b"}]}"#)
    XCTAssertEqual(patient.turns[0].weight, 1)
    XCTAssertEqual(patient.metadata["weight"], .integer(72))
  }

  func testARegionsTagsLeaveTheTurnAsItIs() throws {
    let line =
      #"{"image": "wide.png", "regions": {"r": {"box": [0.4, 0.4, 0.6, 0.6], "unit": "shares"}}, "conversations": [{"from": "human", "value": "<image> <region:r>it</region>", "train": true}, {"from": "gpt", "value": "b", "weight": 3}]}"#
    let record = try record(line)
    XCTAssertEqual(record.turns.map(\.isTrained), [true, nil])
    XCTAssertEqual(record.turns.map(\.weight), [1, 3])
    var processor = try processor("plain")
    processor.boxes.convention = .thousandths
    let written = try processor.writingBoxes(in: record)
    XCTAssertNotEqual(written.turns[0].text, record.turns[0].text)
    XCTAssertEqual(written.turns.map(\.isTrained), [true, nil])
    XCTAssertEqual(try processor.encode(record).weights.max(), 3)
  }

  // MARK: What is chosen

  func testATurnsOwnWordGoesFirst() {
    let turns = [
      Turn(.system, ""), Turn(.user, "", weight: 7), Turn(.assistant, "", weight: 0.5),
      Turn(.user, "", isTrained: true, weight: 2), Turn(.assistant, "", isTrained: false), Turn(.assistant, ""),
    ]
    var trained = TrainedTurns()
    XCTAssertEqual(trained.weights(of: turns), [0, 0, 0.5, 2, 0, 1])
    trained.which = .last
    XCTAssertEqual(trained.weights(of: turns), [0, 0, 0, 2, 0, 1])
    XCTAssertEqual(trained.weights(of: turns.dropLast()), [0, 0, 0, 2, 0])
    trained.roles = [.system, .user]
    XCTAssertEqual(trained.weights(of: turns), [0, 0, 0, 2, 0, 0])
    trained.which = .all
    XCTAssertEqual(trained.weights(of: turns), [1, 7, 0, 2, 0, 0])
    XCTAssertEqual(trained.weights(of: []), [])
  }

  // MARK: Samples

  private func processor(_ template: String, _ change: (inout TrainedTurns) -> Void = { _ in }) throws -> Processor {
    let source = try JSON(contentsOf: Fixtures.folder + "/expected.json")[template]?["template"]?.string
    var processor = Processor(
      tokenizer: try Fixtures.tokenizer(),
      template: try ChatTemplate(
        source: try XCTUnwrap(source), variables: ["bos_token": "<s>", "eos_token": "</s>"]),
      vision: try Fixtures.vision(), maxLength: 1000)
    change(&processor.trained)
    return processor
  }

  /// The texts of runs of tokens that are trained alike, with their weights.
  private func trained(_ sample: Sample) throws -> [String] {
    let tokenizer = try Fixtures.tokenizer()
    var runs: [(weight: Float, ids: [Int])] = []
    var isOpen = false
    for (place, id) in sample.ids.enumerated() {
      defer { isOpen = sample.supervised[place] }
      guard sample.supervised[place] else { continue }
      let weight = sample.weights.isEmpty ? 1 : sample.weights[place]
      if isOpen, runs.last?.weight == weight {
        runs[runs.count - 1].ids.append(Int(id))
      } else {
        runs.append((weight, [Int(id)]))
      }
    }
    return runs.map { "\($0.weight) \(tokenizer.decode($0.ids))" }
  }

  func testWeightsReachTheTokens() throws {
    for template in ["plain", "generation"] {
      let processor = try processor(template)
      func told(_ members: String...) throws -> [String] {
        try trained(processor.sample(record(talk("", members[0], "", members[1]))))
      }
      XCTAssertEqual(try told("", ""), ["1.0 text 2</s>", "1.0 text 4</s>"])
      XCTAssertEqual(try told(#""weight": 0.5"#, ""), ["0.5 text 2</s>", "1.0 text 4</s>"])
      XCTAssertEqual(try told(#""train": false"#, #""weight": 3"#), ["3.0 text 4</s>"])
      // What counts nothing is not trained, to the last bit of the sample.
      let plain = try processor.sample(record(talk("", #""train": false"#)))
      for other in [#""weight": 0"#, #""weight": 0, "train": true"#, #""loss": false"#] {
        let sample = try processor.sample(record(talk("", other)))
        XCTAssertEqual(sample.ids, plain.ids)
        XCTAssertEqual(sample.supervised, plain.supervised)
        XCTAssertEqual(sample.weights, [])
      }
      let fault = try thrownFault { _ = try told(#""weight": 0"#, #""train": false"#) }
      XCTAssertEqual(fault.what, "no supervised token: no turn is trained")
    }
  }

  func testOtherRoles() throws {
    let line =
      #"{"system": "Be brief.", "image": "wide.png", "messages": [{"role": "user", "content": "See <image> this"}, {"role": "assistant", "content": "x"}]}"#
    for (template, asked) in [("plain", "See "), ("generation", "See ")] {
      let users = try processor(template) { $0.roles = [.user] }
      let sample = try users.sample(record(line))
      // The picture lies between, and is never trained.
      XCTAssertEqual(try trained(sample), ["1.0 \(asked)", "1.0  this"], template)
      XCTAssertFalse(sample.imagePositions.contains { sample.supervised[$0] })
      let all = try processor(template) { $0.roles = Set(Turn.Role.allCases) }
      XCTAssertEqual(
        try trained(all.sample(record(line))), ["1.0 Be brief.", "1.0 See ", "1.0  this", "1.0 x</s>"], template)
    }
  }

  func testTheLastTurnAlone() throws {
    let last = try processor("plain") { $0.which = .last }
    XCTAssertEqual(try trained(last.sample(record(talk()))), ["1.0 text 4</s>"])
    XCTAssertEqual(
      try trained(last.sample(record(talk("", #""train": true, "weight": 0.25"#)))),
      ["0.25 text 2</s>", "1.0 text 4</s>"])
  }

  func testNoTurnOfTheRole() throws {
    let question = try record(#"{"messages": [{"role": "user", "content": "q"}]}"#)
    XCTAssertEqual(question.turns.count, 1)
    var processor = try processor("plain")
    let fault = try thrownFault { _ = try processor.sample(question) }
    XCTAssertEqual(fault.what, "no supervised token: no turn is the assistant's")
    XCTAssertEqual(fault.place, question.place)
    processor.trained.roles = [.system, .assistant]
    XCTAssertEqual(
      try thrownFault { _ = try processor.encode(question) }.what,
      "no supervised token: no turn is the system's or the assistant's")
    processor.trained.roles = [.user]
    XCTAssertEqual(try trained(processor.sample(question)), ["1.0 q"])
    processor.trained.roles = [.assistant]
    XCTAssertFalse(try processor.unsupervised(question, withText: true).supervised.contains(true))
  }

  func testABatchOfWeights() throws {
    let processor = try processor("plain")
    let plain = try processor.sample(record(talk()))
    let weighed = try processor.sample(record(talk("", #""weight": 0.5"#, "", #""weight": 0.25"#)))
    XCTAssertEqual(try Batch([plain, plain]).targetWeights, [])
    XCTAssertEqual(try Batch([plain, plain]).weight, Double(2 * plain.supervised.count { $0 }))
    let batch = try Batch([plain, weighed])
    let all = plain.supervised.count { $0 }
    let second = try processor.sample(record(talk("", #""train": false"#))).supervised.count { $0 }
    XCTAssertEqual(
      batch.targetWeights,
      [Float](repeating: 1, count: all) + [Float](repeating: 0.5, count: all - second)
        + [Float](repeating: 0.25, count: second))
    let weight = Double(all) + 0.5 * Double(all - second) + 0.25 * Double(second)
    XCTAssertEqual(batch.weight, weight)
    XCTAssertEqual(batch.weightedSum([Float](repeating: 2, count: 2 * all)), 2 * weight)
    XCTAssertEqual(batch.supervised, 2 * all)
  }

  func testATokenOnTheEdgeHasTheGreaterWeight() {
    XCTAssertEqual(
      heaviest([0..<2, 2..<4, 4..<6, 6..<6, 6..<8], [0..<3, 3..<5], [0.5, 2]), [0.5, 2, 2, 0, 0])
  }
}
