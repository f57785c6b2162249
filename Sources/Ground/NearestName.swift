/// The members of `names` that a person who typed `typed` most likely meant, best first.
///
/// Ranks by edit distance (insert, delete, replace, swap neighbours) and leaves out names that
/// differ in more than half of their letters.
public func nearestNames(to typed: String, among names: some Sequence<String>, most: Int = 1) -> [String] {
  let typedLetters = Array(typed.lowercased().utf8)
  var ranked: [(distance: Int, name: String)] = []
  for name in names {
    let letters = Array(name.lowercased().utf8)
    let distance = editDistance(typedLetters, letters)
    if distance * 2 <= max(letters.count, typedLetters.count) { ranked.append((distance, name)) }
  }
  ranked.sort { ($0.distance, $0.name) < ($1.distance, $1.name) }
  return ranked.prefix(most).map(\.name)
}

/// `"; did you mean 'x'?"`, or nothing where no name is near.
public func didYouMean(_ typed: String, among names: some Sequence<String>) -> String {
  nearestNames(to: typed, among: names).first.map { "; did you mean '\($0)'?" } ?? ""
}

private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var beforeLast = [Int](repeating: 0, count: b.count + 1)
  var last = Array(0...b.count)
  for i in 0..<a.count {
    var row = [i + 1]
    row.reserveCapacity(b.count + 1)
    for j in 0..<b.count {
      var best = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
      row.append(best)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
