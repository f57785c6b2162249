import Demo
import Foundation
import Ground

let usage = """
  demo-recipe demo FOLDER                          the whole demo
  demo-recipe captions FOLDER COUNT SEED           pictures and descriptions to train the demo's model on
  demo-recipe fresh TEMPLATE FOLDER                a model folder like TEMPLATE with random weights
  demo-recipe bundle TRAINED FOLDER                TRAINED as BF16 with a fresh projector
  """

/// Runs the command that `words` name; see README.md beside this file.
func run(_ words: [String]) throws {
  switch (words.first, words.count) {
  case ("demo", 2): try writeDemo(to: words[1])
  case ("captions", 4):
    guard let count = Int(words[2]), let seed = UInt64(words[3]) else { fallthrough }
    try writeCaptions(to: words[1], count: count, seed: seed)
  case ("fresh", 3):
    try writeModel(to: words[2], template: words[1], as: .float32, freshValues(template: words[1], seed: 1))
  case ("bundle", 3):
    let (trained, fresh) = (try storedValues(words[1]), try freshValues(template: words[1], seed: 2))
    try writeModel(to: words[2], template: words[1], as: .bfloat16) { parameter in
      if parameter.name.contains("multi_modal_projector") { return try fresh(parameter) }
      let values = try trained(parameter)
      guard parameter.name.hasSuffix("embed_tokens.weight") else { return values }
      return withoutTwins(values, width: parameter.shape[1], fresh: try fresh(parameter))
    }
  default: throw Fault(.usage, "unknown command", "use one of\n\(usage)")
  }
}

do {
  try run(Array(CommandLine.arguments.dropFirst()))
} catch let fault as Fault {
  FileHandle.standardError.write(Data("demo-recipe: error: \(fault)\n".utf8))
  exit(fault.kind.rawValue)
}
