import Foundation
import Media
import Tokenizers

/// Measures how fast pictures and text become what a model takes, on one thread; `Benchmarks/feeding.py` compares.
///
///     feeding-bench decode FILE REPEATS            # a picture decoded
///     feeding-bench resize FILE SIZE REPEATS       # decoded, and resized to SIZE × SIZE, bicubic
///     feeding-bench tokens TOKENIZER FILE REPEATS  # every line of a text file, one by one
///
/// Each prints one line: the least seconds of processor time of the repeats, and a sum over the result (its bytes,
/// or each token id times its place mod 1000), which tells whether two programs did the same.
@main
struct FeedingBenchmark {
  static func main() throws {
    let words = CommandLine.arguments.dropFirst()
    switch (words.first, Array(words.dropFirst())) {
    case ("decode"?, let rest) where rest.count == 2:
      try measure(rest[1], sum) { try Picture(contentsOf: rest[0]) }
    case ("resize"?, let rest) where rest.count == 3:
      guard let size = Int(rest[1]), size > 0 else { usage() }
      try measure(rest[2], sum) {
        try Picture(contentsOf: rest[0]).resized(width: size, height: size, filter: .bicubic)
      }
    case ("tokens"?, let rest) where rest.count == 3:
      let tokenizer = try Tokenizer(contentsOf: rest[0])
      let lines = try String(contentsOfFile: rest[1], encoding: .utf8).split(separator: "\n").map(String.init)
      try measure(rest[2], sum) { try lines.map { try tokenizer.encode($0).ids } }
    default: usage()
    }
  }

  private static func usage() -> Never {
    FileHandle.standardError.write(
      Data("feeding-bench: decode FILE REPEATS | resize FILE SIZE REPEATS | tokens TOKENIZER FILE REPEATS\n".utf8))
    exit(64)
  }

  private static func sum(_ picture: Picture) -> Int { picture.pixels.reduce(0) { $0 &+ Int($1) } }

  private static func sum(_ lines: [[Int]]) -> Int {
    lines.joined().reduce(into: (place: 0, sum: 0)) { $0 = ($0.place + 1, $0.sum &+ ($0.place + 1) % 1000 &* $1) }.sum
  }

  private static func measure<Result>(_ repeats: String, _ sum: (Result) -> Int, _ work: () throws -> Result) throws {
    guard let count = Int(repeats), count > 0 else { usage() }
    var best = Double.infinity
    var told = 0
    for _ in 0..<count {
      let began = clock()
      let result = try work()
      best = min(best, Double(clock() - began) / Double(CLOCKS_PER_SEC))
      told = sum(result)
    }
    print(best, told)
  }
}
