import Foundation
import Ground
import XCTest

@testable import Jinja

/// Small templates against what jinja2 makes of them in the environment of transformers.
final class SnippetTests: XCTestCase {
  /// Friday 26 July 2024, 13:05:09.
  static let moment = Moment(seconds: 1_721_999_109, timeZone: TimeZone(secondsFromGMT: 0) ?? .current)

  private func fixture() throws -> (variables: [(String, Value)], cases: [JSON]) {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let fixture = try JSON(contentsOf: folder.appendingPathComponent("Fixtures/snippets.json").path)
    let variables = try XCTUnwrap(fixture["variables"]?.object).map { ($0.key, try Value($0.value)) }
    return (variables, try XCTUnwrap(fixture["cases"]?.array))
  }

  func testSnippetsEqualJinja2() throws {
    let (variables, cases) = try fixture()
    XCTAssertGreaterThan(cases.count, 200)
    for snippet in cases {
      let source = try XCTUnwrap(snippet["template"]?.string)
      let expected = snippet["text"]?.string
      do {
        let rendering = try Template(source).render(
          variables + [("tools", .none), ("documents", .none), ("add_generation_prompt", .bool(false))],
          clock: { SnippetTests.moment })
        guard let expected else {
          XCTFail("no fault, but '\(rendering.text)': \(source) \(snippet["error"]?.string ?? "")")
          continue
        }
        if Array(rendering.text.utf8) != Array(expected.utf8) {
          XCTFail("\(source)\n  is      \(rendering.text.debugDescription)\n  must be \(expected.debugDescription)")
        }
        let spans = try XCTUnwrap(snippet["generated"]?.array).map { try XCTUnwrap($0.array?.compactMap(\.integer)) }
        XCTAssertEqual(rendering.generated.map { [$0.lowerBound, $0.upperBound] }, spans, source)
      } catch let fault as Fault {
        if let expected { XCTFail("\(fault): \(source), must be \(expected.debugDescription)") }
        XCTAssert(fault.kind == .badConfiguration || source.contains("raise_exception"), source)
      }
    }
  }
}
