import Models
import Tensors
import TestSupport
import XCTest

/// Forward and backward of whole models against transformers.
final class GoldenModelTests: XCTestCase {
  func testLogitsLossAndEveryGradient() throws {
    for name in Golden.names {
      for recomputes in [false, true] { try compare(name, recomputes: recomputes) }
    }
  }

  private func compare(_ name: String, recomputes: Bool) throws {
    let golden = try Golden(name)
    let backend = try CPUBackend(threads: 2)
    let folder = try ModelFolder(golden.modelFolder)
    let model = try folder.makeModel()
    for parameter in model.parameters { parameter.isTrainable = true }
    try folder.loadWeights(into: model, backend: backend, isFresh: { _ in false })

    let batch = try GoldenBatch(golden, model, backend)
    let context = Context(backend, recording: true, recomputesLayers: recomputes)
    let hidden = model.hidden(batch.tokens, imageRows: batch.imageRows, pictures: batch.pictures, context)
    let rows = context.gatherRows(hidden, batch.targetRows)
    let head = context[try XCTUnwrap(model.language.head).base.weight]
    let (sum, nll) = context.crossEntropy(hidden: rows, head: head, targets: batch.targets)

    // Loss, record by record.
    let values = backend.read(nll)
    var from = 0
    for (index, record) in golden.records.enumerated() {
      let own = values[from..<from + record.tokens].reduce(0.0) { $0 + Double($1) }
      XCTAssertEqual(own, record.nll, accuracy: 1e-4 * record.nll, "\(name): nll of record \(index)")
      from += record.tokens
    }
    XCTAssertEqual(from, values.count)
    let count = Double(values.count)
    let loss = try XCTUnwrap(golden.json["loss"]?.double)
    XCTAssertEqual(Double(backend.read(sum)[0]) / count, loss, accuracy: 1e-5 * loss, name)

    // Every gradient.
    var gradients: [String: [Float]] = [:]
    context.backward(from: sum, seed: backend.tensor([Float(1 / count)], [1])) { parameter, gradient in
      XCTAssertNil(gradients[parameter.name], "\(parameter.name) is complete twice")
      gradients[parameter.name] = backend.read(gradient)
    }
    let silent = Set((golden.json["without_gradient"]?.array ?? []).compactMap(\.string))
    XCTAssertEqual(Set(model.parameters.map(\.name)).subtracting(gradients.keys), silent, name)
    // A gradient that is zero but for rounding (a key bias does not move a softmax) is compared to the whole.
    let norms = try XCTUnwrap(golden.json["gradient_norms"]?.object).values.compactMap(\.double)
    let floor = 1e-6 * norms.reduce(0) { $0 + $1 * $1 }.squareRoot()
    for (parameter, gradient) in gradients {
      guard golden.tensors.entries["grad." + parameter] != nil else {
        let size = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        let wanted = try XCTUnwrap(golden.json["gradient_norms"]?[parameter]?.double)
        XCTAssertEqual(size, wanted, accuracy: max(1e-4 * wanted, floor), "\(name): gradient norm of \(parameter)")
        continue
      }
      let wanted = try golden.floats("grad." + parameter)
      let distance = relativeDistance(gradient, wanted)
      let size = wanted.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      XCTAssertLessThan(distance * size, max(1e-4 * size, floor), "\(name): gradient of \(parameter)")
    }
  }

  func testLogits() throws {
    for name in Golden.names {
      let golden = try Golden(name)
      let backend = try CPUBackend(threads: 1)
      let folder = try ModelFolder(golden.modelFolder)
      let model = try folder.makeModel()
      try folder.loadWeights(into: model, backend: backend, isFresh: { _ in false })
      let batch = try GoldenBatch(golden, model, backend)
      let context = Context(backend)
      let hidden = model.hidden(batch.tokens, imageRows: batch.imageRows, pictures: batch.pictures, context)
      let logits = try context.linear(hidden, Projection(XCTUnwrap(model.language.head).base.weight.value))
      for (index, record) in golden.records.enumerated() {
        let rows = record.json.integers("logits_rows").map { Int32($0 + batch.starts[index]) }
        guard !rows.isEmpty else { continue }
        let found = backend.read(context.gatherRows(logits, backend.tensor(rows)))
        let wanted = try golden.floats("logits." + (index < 10 ? "0" : "") + "\(index)")
        XCTAssertLessThan(relativeDistance(found, wanted), 1e-4, "\(name): logits of record \(index)")
      }
    }
  }
}

/// All records of a golden in one ragged batch.
struct GoldenBatch {
  let tokens: TokenBatch
  let imageRows: Tensor?
  let pictures: MultimodalModel.Pictures?
  let targetRows: Tensor
  let targets: Tensor
  let starts: [Int]

  init(_ golden: Golden, _ model: MultimodalModel, _ backend: any Backend) throws {
    var (ids, positions, rows, targets, images): ([Int32], [Int32], [Int32], [Int32], [Int32]) = ([], [], [], [], [])
    var pixels: [Float] = []
    var starts: [Int] = []
    for record in golden.records {
      let start = ids.count
      starts.append(start)
      ids += record.ids
      positions += record.ids.indices.map(Int32.init)
      for (index, label) in record.labels.enumerated().dropFirst() where label != -100 {
        rows.append(Int32(start + index - 1))
        targets.append(label)
      }
      for image in record.images { pixels += try golden.pixels(image) }
      if let eyes = model.eyes {
        images += record.ids.indices.filter { Int(record.ids[$0]) == eyes.imageTokenID }.map { Int32(start + $0) }
      }
    }
    self.starts = starts
    let lengths = golden.records.map(\.ids.count)
    self.tokens = TokenBatch(
      ids: backend.tensor(ids), positions: backend.tensor(positions), positionLimit: lengths.max() ?? 0,
      sequences: Sequences(lengths: lengths))
    targetRows = backend.tensor(rows)
    self.targets = backend.tensor(targets)
    if let size = model.eyes?.imageSize, !pixels.isEmpty {
      imageRows = backend.tensor(images)
      pictures = .pixels(backend.tensor(pixels, [pixels.count / (3 * size * size), 3, size, size]))
    } else {
      imageRows = nil
      pictures = nil
    }
  }
}
