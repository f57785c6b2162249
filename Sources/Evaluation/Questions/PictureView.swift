import Datasets
import Ground
import Tensors

/// What a model is shown in place of the pictures of a record.
public enum PictureView: String, CaseIterable, Sendable {
  /// The record's own pictures.
  case right
  /// The pictures of another record.
  case shuffled
  /// Pictures of one colour, the mean that pixels are normalised by: zeros.
  case blank
  /// No picture, and no placeholder for one.
  case none

  /// "with the right picture", for sentences.
  public var phrase: String {
    switch self {
    case .right: "with the right picture"
    case .shuffled: "with another picture"
    case .blank: "with a blank picture"
    case .none: "without a picture"
    }
  }
}

/// Gives the pictures of each record to another: a cycle through all different ones, so that none keeps its own.
///
/// Records exchange with records that have as many pictures. The order is a pure function of the pictures and the seed.
/// It holds names and digests of pictures, whatever their files hold.
public struct PictureShuffle: Sendable {
  /// What tells a picture from others.
  private enum Key: Hashable {
    case place(ImageLocation)
    case digest(String)

    init(_ image: ImageLocation) {
      guard case .bytes(let data, let name) = image else {
        self = .place(image)
        return
      }
      let checksum = Checksum()
      Array("\(name)\n".utf8).withUnsafeBytes(checksum.add)
      data.withUnsafeBytes(checksum.add)
      self = .digest(checksum.digits)
    }
  }

  private let others: [[Key]: Int]
  /// The numbers of the records whose pictures have others to exchange with.
  public let exchanged: Set<Int>

  /// - Parameters: `numbers` of records, in file order; `pictures` of one of them, asked once for each.
  public init(
    _ numbers: some Sequence<Int>, seed: UInt64, pictures: (_ number: Int) throws -> [ImageLocation]
  ) rethrows {
    var kinds: [Int: [(own: [Key], number: Int)]] = [:]
    var known: Set<[Key]> = []
    var owners: [(own: [Key], number: Int)] = []
    for number in numbers {
      let own = try pictures(number).map(Key.init)
      guard !own.isEmpty else { continue }
      owners.append((own, number))
      if known.insert(own).inserted { kinds[own.count, default: []].append((own, number)) }
    }
    var others: [[Key]: Int] = [:]
    for (count, kind) in kinds where kind.count > 1 {
      let stream = RandomStream([seed, UInt64(count)]).named("shuffled pictures")
      var cycle = kind
      for end in stride(from: cycle.count - 1, to: 0, by: -1) {
        cycle.swapAt(end, Int(stream.uniform(at: end) * Double(end + 1)))
      }
      for (place, one) in cycle.enumerated() { others[one.own] = cycle[(place + 1) % cycle.count].number }
    }
    self.others = others
    exchanged = Set(owners.filter { others[$0.own] != nil }.map(\.number))
  }

  /// The number of a record whose pictures take the place of these; nil where there is none.
  public subscript(pictures: [ImageLocation]) -> Int? { others[pictures.map(Key.init)] }
}
