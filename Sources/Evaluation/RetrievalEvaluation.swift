import Datasets
import Foundation
import Ground
import Metrics
import OrderedCollections
import Parallel
import Tensors

/// How well pictures find their captions, and captions their pictures, among all of a data set.
///
/// Records of one picture file are one picture with the captions of all of them. A caption or picture that fits exactly as
/// well as the right one counts as better: a model that says the same of all finds nothing.
public struct RetrievalEvaluation: Equatable, Sendable {
  /// Places from 1.
  public struct SampleResult: Equatable, Sendable {
    public let index: Int
    /// Of the best of the picture's captions, among all captions.
    public let imageToText: Int
    /// Of the picture among all pictures, for each caption of the record.
    public let textToImage: [Int]
  }

  /// In file order.
  public let samples: [SampleResult]
  public let pictures: Int
  public let captions: Int
  private let imageToText: [Int]

  /// The place of the best of what is right, from 1: ``Retrieval/rank(_:isRight:)``.
  public static func places(_ scores: [Float], right: (Int) -> Bool) -> Int {
    1 + (Retrieval.rank(scores, isRight: right) ?? 0)
  }

  /// Evaluates all records; every rank takes a run of the pictures and captions, and gets the whole result.
  public init(
    _ space: SharedSpace, _ records: PairSet, _ communicator: any Communicator, _ backend: any Backend
  ) throws {
    let all = try (0..<records.count).map(records.record)
    var numbers: OrderedDictionary<ImageLocation, Int> = [:]
    for record in all where numbers[record.image] == nil { numbers[record.image] = numbers.count }
    let files = Array(numbers.keys)
    let texts = all.flatMap { record in
      record.captions.map { (text: $0, owner: numbers[record.image] ?? 0, place: record.place) }
    }
    let visual = try communicator.gatherRows(files.count, width: space.width, backend) { number in
      try space.vector(picture: files[number])
    }
    let textual = try communicator.gatherRows(texts.count, width: space.width, backend) { number in
      do { return try space.vector(text: texts[number].text) } catch let fault as Fault {
        throw Fault(fault.kind, fault.what, at: texts[number].place, fault.remedy)
      }
    }
    let owners = texts.map(\.owner)
    let imageToText = try communicator.places(of: visual, among: textual, backend) { picture, caption in
      owners[caption] == picture
    }
    let textToImage = try communicator.places(of: textual, among: visual, backend) { caption, picture in
      owners[caption] == picture
    }
    var start = 0
    samples = all.map { record in
      defer { start += record.captions.count }
      return SampleResult(
        index: record.index, imageToText: imageToText[numbers[record.image] ?? 0],
        textToImage: Array(textToImage[start..<start + record.captions.count]))
    }
    (pictures, captions, self.imageToText) = (files.count, texts.count, imageToText)
  }

  /// The figures of ``Retrieval``.
  public var metrics: OrderedDictionary<String, Double> {
    Retrieval(textRanks: imageToText.map { $0 - 1 }, pictureRanks: samples.flatMap(\.textToImage).map { $0 - 1 })
      .figures
  }

  /// The report of `mmdist eval`.
  public var json: JSON {
    [
      "metrics": .object(metrics.mapValues(JSON.number)), "pictures": .integer(pictures),
      "captions": .integer(captions),
      "samples": .array(
        samples.map {
          [
            "index": .integer($0.index), "image_to_text": .integer($0.imageToText),
            "text_to_image": .array($0.textToImage.map(JSON.integer)),
          ]
        }),
    ]
  }
}

extension Communicator {
  /// [count, width]: rows that the ranks make by turns, each a run of them.
  func gatherRows(
    _ count: Int, width: Int, _ backend: any Backend, _ row: (Int) throws -> [Float]
  ) throws -> Tensor {
    let own = try agreeOnSuccess { try share(of: count, rank: rank, of: self.count).flatMap(row) }
    let bytes = try allGather(own.withUnsafeBytes(Array.init)).flatMap { $0 }
    let values = bytes.withUnsafeBytes { buffer in
      (0..<count * width).map { buffer.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    return backend.tensor(values, [count, width])
  }

  /// For each row of `queries` the place of the best row of `targets` that is right for it.
  ///
  /// Rows are compared in blocks that do not depend on the number of ranks, so that places do not either.
  fileprivate func places(
    of queries: Tensor, among targets: Tensor, _ backend: any Backend, right: (_ query: Int, _ target: Int) -> Bool
  ) throws -> [Int] {
    let block = 64
    var own: [Int64] = []
    for number in share(of: (queries.rows + block - 1) / block, rank: rank, of: count) {
      let rows = number * block..<min((number + 1) * block, queries.rows)
      let scores = backend.read(
        backend.product(Factor(queries.slice(rows)), Factor(targets, transposed: true)))
      for (offset, query) in rows.enumerated() {
        let mine = Array(scores[offset * targets.rows..<(offset + 1) * targets.rows])
        own.append(Int64(RetrievalEvaluation.places(mine) { right(query, $0) }))
      }
    }
    return try allGather(own).flatMap { $0.map(Int.init) }
  }
}
