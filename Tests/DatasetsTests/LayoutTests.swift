import Foundation
import Ground
import XCTest

@testable import Datasets

/// Layouts of conversations beside LLaVA's.
final class LayoutTests: XCTestCase {
  private func record(_ line: String, format: String = "auto") throws -> Record {
    let folder = try TemporaryFolder()
    return try RecordSource(path: folder.write(line, to: "a.jsonl"), images: "/p", format: format).record(0)
  }

  private func what(_ line: String) throws -> String { try thrownFault { _ = try record(line) }.what }

  func testParts() throws {
    let line = #"""
      {"system": "Be brief.", "messages": [{"role": "user", "content": [{"type": "text", "text": "See "}, \#
      {"type": "image", "path": "a.png", "url": null}, {"type": "input_text", "text": "and"}, \#
      {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQID"}}]}, {"role": "assistant", "content": "x"}]}
      """#
    let found = try record(line)
    XCTAssertEqual(
      found.turns, [Turn(.system, "Be brief."), Turn(.user, "See <image>and<image>"), Turn(.assistant, "x")])
    XCTAssertEqual(found.images, [.file("/p/a.png"), .bytes(Data([1, 2, 3]), name: "image 2")])
    func user(_ part: String, beside: String = "") -> String {
      #"{"messages": [{"role": "user", "content": [\#(part)]}]\#(beside)}"#
    }
    XCTAssertEqual(try record(user(#"{"type": "image", "path": "file:///x/a%20b.png"}"#)).images, [.file("/x/a b.png")])
    XCTAssertEqual(try record(user(#"{"type": "image"}"#, beside: #", "images": ["b"]"#)).images, [.file("/p/b")])
    XCTAssertEqual(try record(user(#"{"type": "image", "base64": "AQID"}"#)).images[0].name, "image 1")
    for (part, beside, says) in [
      (#"{"type": "image"}"#, "", "image tag without image: 1 <image> tag, 0 images"),
      (#"{"type": "image"}, {"type": "image", "path": "a"}"#, "", "1 image part without a picture"),
      (
        #"{"type": "image", "path": "a"}"#, #", "image": "b""#,
        "pictures both in the turns and beside them, under 'image'"
      ),
      (#"{"type": "image", "url": "https://x/a.png"}"#, "", "'https://x/a.png' is a URL"),
      (#"{"type": "image", "url": "data:image/png,xx"}"#, "", "the data URL of image 1 is not base64"),
      (#"{"type": "image", "url": "data:image/png;base64,"}"#, "", "the base64 of image 1 is damaged or empty"),
      (#"{"type": "image", "url": "file://host/a"}"#, "", "'file://host/a' is no URL of a local file"),
      (#"{"type": "image", "path": "../a"}"#, "", "image path '../a' leaves the images folder '/p'"),
      (
        #"{"type": "video", "path": "a"}"#, "",
        "part 1 of 'content' of turn 1 is of type 'video', which is not supported"
      ),
      (#"{"text": "a"}"#, "", "part 1 of 'content' of turn 1 has no 'type'"),
      (#"{"type": "text"}"#, "", "part 1 of 'content' of turn 1 has no 'text' string"),
      (#"{"type": "text", "text": "<image>"}"#, "", "image tag without image: 1 <image> tag, 0 images"),
    ] {
      XCTAssertEqual(try what(user(part, beside: beside)), says)
    }
    XCTAssertEqual(
      try what(#"{"messages": [{"role": "assistant", "content": null, "tool_calls": [{}]}]}"#),
      "'tool_calls' of turn 1 names no function")
    XCTAssertEqual(
      try what(#"{"messages": [{"role": "user", "content": null}]}"#), "'content' of turn 1 is null, not a string")
  }

  func testCompletions() throws {
    let turns = [Turn(.user, "<image>q"), Turn(.assistant, "a")]
    XCTAssertEqual(try record(#"{"image": "i", "prompt": "q", "completion": "a"}"#).turns, turns)
    XCTAssertEqual(try record(#"{"image": "i", "question": "<image>q", "answer": "a"}"#).turns, turns)
    XCTAssertEqual(
      try record(
        #"""
        {"images": ["i"], "prompt": [{"role": "user", "content": "q"}], \#
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": "a"}]}]}
        """#
      ).turns, turns)
    XCTAssertEqual(try what(#"{"prompt": 3, "completion": "a"}"#), "'prompt' is a number, not a string")
  }

  func testPreferences() throws {
    let chosen = [Turn(.user, "<image>q"), Turn(.assistant, "a")]
    let rejected = [Turn(.user, "<image>q"), Turn(.assistant, "b")]
    let messages = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "\#("%")"}]"#
    for line in [
      #"{"image": "i", "prompt": "q", "chosen": "a", "rejected": "b"}"#,
      #"{"image": "i", "prompt": "q", "chosen": {"role": "assistant", "content": "a"}, "rejected": "b"}"#,
      #"{"image": "i", "chosen": \#(messages.replacingOccurrences(of: "%", with: "a")), "rejected": "#
        + #"\#(messages.replacingOccurrences(of: "%", with: "b"))}"#,
    ] {
      let found = try record(line)
      XCTAssertEqual(found.turns, chosen, line)
      XCTAssertEqual(found.rejected, rejected, line)
    }
    XCTAssertEqual(
      try what(#"{"chosen": "a", "rejected": "b"}"#), "no 'prompt', and 'chosen' begins with the answer")
  }

  func testAlpacaAndPairs() throws {
    XCTAssertEqual(
      try record(#"{"instruction": "do", "input": "it", "output": "done", "system": "s", "history": [["a", "b"]]}"#)
        .turns,
      [Turn(.system, "s"), Turn(.user, "a"), Turn(.assistant, "b"), Turn(.user, "do\nit"), Turn(.assistant, "done")])
    XCTAssertEqual(
      try record(#"{"instruction": "do", "input": "", "output": "done"}"#).turns,
      [Turn(.user, "do"), Turn(.assistant, "done")])
    XCTAssertEqual(try what(#"{"instruction": "do", "output": null}"#), "no 'output'")
    for key in ["text", "caption", "txt"] {
      let found = try record(#"{"image": "i", "\#(key)": "a cat", "site": 1}"#)
      XCTAssertEqual(found.turns, [Turn(.user, "<image>"), Turn(.assistant, "a cat")])
      XCTAssertEqual(found.metadata, ["site": 1])
    }
    XCTAssertEqual(try what(#"{"image": "i", "text": ["a"]}"#), "'text' is a list, not a string")
  }

  func testNoTextCanClaimAnAttachment() throws {
    XCTAssertEqual(
      try thrownFault { _ = try record(#"{"image": {"\u0000attachment": 0}, "text": "a"}"#) }.kind, .badData)
  }

  func testWhatIsLabelled() throws {
    let folder = try TemporaryFolder()
    for (name, text, isLabelled) in [
      ("a.csv", "text,label\na,b\n", true), ("b.csv", "image,text\na,b\n", false), ("c.csv", "words,mood\na,b\n", true),
      ("d.csv", "prompt,completion\na,b\n", false), ("e.jsonl", #"{"text": "a", "label": 1}"#, true),
      ("f.jsonl", #"{"image": "a", "text": "b"}"#, false),
      ("g.jsonl", #"{"image": "a", "text": "b", "label": 1}"#, true),
    ] {
      XCTAssertEqual(try DataFile(folder.write(text, to: name)).looksLabelled(LabelColumns()), isLabelled, name)
    }
    let images = try folder.write("file_name,text\na.png,b\n", to: "set/metadata.csv")
    let set = try DataFile(folder.path + "/set")
    XCTAssertEqual(set.path, images)
    XCTAssertEqual(
      try thrownFault { _ = try DataFile(folder.path) }.what, "a folder without metadata.csv or metadata.jsonl")
  }
}
