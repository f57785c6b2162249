import Foundation
import Ground

extension Tokenizer {
  /// The tokenizer of a model folder: its `tokenizer.json`, or BERT's older `vocab.txt` with `tokenizer_config.json`.
  public convenience init(modelFolder: String) throws {
    let (file, vocabulary) = ("\(modelFolder)/tokenizer.json", "\(modelFolder)/vocab.txt")
    let files = FileManager.default
    if !files.fileExists(atPath: file), files.fileExists(atPath: vocabulary) {
      let settings = "\(modelFolder)/tokenizer_config.json"
      let json = files.fileExists(atPath: settings) ? try JSON(contentsOf: settings) : [:]
      try self.init(vocabularyFile: vocabulary, settings: Section(json, at: settings))
    } else {
      try self.init(contentsOf: file)
    }
  }

  /// BERT's tokenizer over a list of tokens, one a line, whose ids are the numbers of the lines.
  convenience init(vocabularyFile path: String, settings: Section) throws {
    let names = try SpecialNames(settings)
    let model = try WordPiece(
      Section(["unk_token": .string(names.unknown), "max_input_chars_per_word": 100], at: path)
    ) { body in
      var id = 0
      try forEachLine(of: path) { line in
        try body(line, id)
        id += 1
      }
    }
    func token(_ name: String) throws -> Int {
      guard let id = model.vocabulary.id(name) else {
        throw Fault(
          .badData, "the vocabulary has no token '\(name)'", at: path,
          "add it, or name another in tokenizer_config.json")
      }
      return Int(id)
    }
    let normalizer: JSON = [
      "type": "BertNormalizer", "clean_text": true,
      "handle_chinese_chars": settings.json["tokenize_chinese_chars"] ?? true,
      "strip_accents": settings.json["strip_accents"] ?? .null, "lowercase": settings.json["do_lower_case"] ?? true,
    ]
    func pair(_ name: String) throws -> JSON { [.string(name), .integer(try token(name))] }
    let around: JSON = ["type": "BertProcessing", "sep": try pair(names.separator), "cls": try pair(names.start)]
    let special = [names.unknown, names.separator, names.padding, names.start, names.mask].map { name -> JSON in
      [
        "content": .string(name), "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true,
      ]
    }
    let listed = settings.json["added_tokens_decoder"]?.object?.values.map { $0 } ?? []
    try self.init(
      Section(
        [
          "normalizer": normalizer, "pre_tokenizer": ["type": "BertPreTokenizer"], "post_processor": around,
          "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true], "added_tokens": .array(special + listed),
        ], at: settings.place), model: .wordPieces(model))
  }

  /// What `tokenizer_config.json` calls the special tokens.
  private struct SpecialNames {
    let unknown, separator, padding, start, mask: String

    init(_ settings: Section) throws {
      func name(_ key: String, _ standard: String) throws -> String {
        guard settings.json[key]?.object != nil else { return try settings.string(key, default: nil) ?? standard }
        return try settings.section(key).string("content")
      }
      unknown = try name("unk_token", "[UNK]")
      separator = try name("sep_token", "[SEP]")
      padding = try name("pad_token", "[PAD]")
      start = try name("cls_token", "[CLS]")
      mask = try name("mask_token", "[MASK]")
    }
  }
}

/// Calls `body` with every line of a text file, without its end.
private func forEachLine(of path: String, _ body: ([UInt8]) throws -> Void) throws {
  let data = try readFile(path)
  var start = data.startIndex
  while start < data.endIndex {
    let end = data[start...].firstIndex(of: UInt8(ascii: "\n")) ?? data.endIndex
    var line = Array(data[start..<end])
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    guard String(validating: line, as: UTF8.self) != nil else {
      throw Fault(.badData, "a token is not UTF-8", at: path, "correct the file")
    }
    try body(line)
    start = end < data.endIndex ? end + 1 : end
  }
}
