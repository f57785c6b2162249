import Foundation
import Ground
import XCTest

@testable import Jinja

final class TemplateTests: XCTestCase {
  private func render(_ source: String, _ variables: [(String, Value)] = []) throws -> Rendering {
    try Template(source).render(variables)
  }

  private func fault(_ source: String, _ variables: [(String, Value)] = []) -> Fault? {
    do {
      let text = try render(source, variables).text
      XCTFail("no fault but \(text.prefix(100)): \(source)")
      return nil
    } catch { return error as? Fault }
  }

  // MARK: Marks

  private func marks(_ source: String) throws -> (text: String, pieces: [String]) {
    let variables: [(String, Value)] = [
      ("a", .marked(" Grüße, an alle \n", 1)), ("b", .marked("<b>", 2)),
      ("list", try Value(list: [.marked("x", 3), .marked("y", 4)])),
    ]
    let rendering = try render(source, variables)
    let bytes = Array(rendering.text.utf8)
    return (rendering.text, rendering.marked.map { "\($0.mark):" + String(decoding: bytes[$0.range], as: UTF8.self) })
  }

  func testMarksFollowTheText() throws {
    let cases: [(String, [String])] = [
      ("[{{ a }}]", ["1: Grüße, an alle \n"]),
      ("[{{ a | trim }}]", ["1:Grüße, an alle"]),
      ("{{ '(' + a.strip() + ')' ~ b }}", ["1:Grüße, an alle", "2:<b>"]),
      ("{{ a[1:6] }}", ["1:Grüße"]),
      ("{{ a.strip().split(', ')[1] }}", ["1:an alle"]),
      ("{{ a | trim | replace('an', 'von') }}", ["1:Grüße, ", "1: alle"]),
      ("{{ a | trim | replace('Grüße', b) }}", ["2:<b>", "1:, an alle"]),
      ("{{ list | join('-') }}", ["3:x", "4:y"]),
      ("{{ list[0] ~ list[0] }}", ["3:xx"]),
      ("{{ '%s|%s' % (b, b | upper) }}", ["2:<b>", "2:<B>"]),
      ("{{ '{} {x}'.format(b, x=a.strip()) }}", ["2:<b>", "1:Grüße, an alle"]),
      ("{{ a.strip() | upper }}", ["1:GRÜSSE, AN ALLE"]),
      ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(b) }}", ["2:<b>"]),
      ("{% set x %}.{{ b }}.{% endset %}{{ x | trim('.') }}", ["2:<b>"]),
      ("{% filter upper %}.{{ b }}.{% endfilter %}", ["2:<B>"]),
      ("{% for x in list %}{{ x }}{{ loop.index }}{% endfor %}", ["3:x", "4:y"]),
      ("{{ a.splitlines()[0].lstrip() }}", ["1:Grüße, an alle "]),
      ("{{ b | e }}", ["2:&lt;b&gt;"]),
      ("{{ list | first }}{{ list[::-1] | join }}", ["3:x", "4:y", "3:x"]),
      ("{{ list }}", []),
      ("{{ a | tojson }}", ["1: Grüße, an alle \\n"]),
      ("{{ b if a == ' Grüße, an alle \n' }}", ["2:<b>"]),
    ]
    for (source, expected) in cases { XCTAssertEqual(try marks(source).pieces, expected, source) }
  }

  func testGenerationIsFoundInsideMacrosAndCaptures() throws {
    let rendering = try render(
      "{% macro m(x) %}<a>{% generation %}{{ x }}!{% endgeneration %}</a>{% endmacro %}é{{ m('1') }}{{ m('2') }}"
        + "{% set s %}{% generation %}z{% endgeneration %}y{% endset %}{{ s }}")
    XCTAssertEqual(rendering.text, "é<a>1!</a><a>2!</a>zy")
    XCTAssertEqual(rendering.generated, [5..<7, 14..<16, 20..<21])
  }

  // MARK: Faults

  func testFaultsNameTheLine() throws {
    let cases: [(String, Int)] = [
      ("a\n{{ 1 + }}", 2), ("{% if x %}\n\nb", 3), ("\n{% for x in y %}\n{{ x.y.z }}\n{% endfor %}\n{{ 'a' + 1 }}", 3),
      ("{# a\nb #}\n{{ 'x\ny' }}{{ missing.x }}", 4),
      ("{% macro m(x) %}\n{{ x }}\n{% endmacro %}\n{{ m(1) }}\n{{ 1 / 0 }}", 5),
      ("{% macro m(x) %}\n{{ x.y.z }}\n{% endmacro %}\n{{ m(1) }}", 2), ("a\r\nb\r\n{{ nope( }}", 3),
      ("{% raw %}\n\n{% endraw %}{{ 1 // 0 }}", 3), ("{%- if 1 -%}\n\n\n{{ [] + 1 }}{% endif %}", 4),
    ]
    for (source, line) in cases {
      let fault = fault(source, [("y", try Value(["a"]))])
      XCTAssertEqual(fault?.kind, .badConfiguration, source)
      XCTAssertEqual(fault?.place, "chat template:\(line)", source)
    }
  }

  func testRefusalIsTheTemplatesOwnWords() throws {
    let fault = fault("\n{{ raise_exception('Roles must alternate, ' ~ who) }}", [("who", .string(Text("please")))])
    XCTAssertEqual(fault?.kind, .badData)
    XCTAssertEqual(fault?.what, "the chat template refuses the conversation: Roles must alternate, please")
    XCTAssertEqual(fault?.place, "chat template:2")
  }

  func testUnsupportedTagsAreNamed() {
    for tag in ["include 'x'", "extends 'x'", "block b", "import 'x' as y", "autoescape true"] {
      XCTAssert(fault("{% \(tag) %}")?.what.contains("'\(tag.split(separator: " ")[0])'") == true, tag)
    }
  }

  func testStringsAreComparedByScalars() throws {
    let variables: [(String, Value)] = [
      ("composed", .string(Text("\u{E9}"))), ("decomposed", .string(Text("e\u{301}"))),
    ]
    XCTAssertEqual(
      try render(
        "{{ composed == decomposed }} {{ {composed: 1}[decomposed] is defined }} {{ decomposed | length }}", variables
      ).text,
      "False False 2")
    XCTAssertEqual(try render("{{ '\r\n' | length }}{{ 'a\r\nb'.split('\n') }}").text, "1['a', 'b']")
  }

  func testClock() throws {
    let template = try Template("{{ strftime_now('%d %b %Y %H:%M') }}")
    let zone = try XCTUnwrap(TimeZone(secondsFromGMT: 3600))
    XCTAssertEqual(
      try template.render([], clock: { Moment(seconds: 0, timeZone: zone) }).text, "01 Jan 1970 01:00")
    XCTAssertEqual(try template.render([]).text.count, "01 Jan 1970 01:00".count)
  }
}
