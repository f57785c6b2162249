import Foundation
import Ground
import XCTest

@testable import Jinja

/// Templates that would hang, exhaust the memory or overflow the stack.
final class HostileTemplateTests: XCTestCase {
  private func assertFault(_ source: String, _ variables: [(String, Value)] = [], seconds: Double = 30) {
    let start = Date()
    XCTAssertThrowsError(try Template(source).render(variables), String(source.prefix(200))) { error in
      XCTAssert(error is Fault, "\(error)")
    }
    XCTAssertLessThan(Date().timeIntervalSince(start), seconds, String(source.prefix(200)))
  }

  /// Runs on a thread with a small stack, as loading threads may have.
  private func onSmallStack(_ body: @escaping @Sendable () throws -> Void) {
    let done = expectation(description: "done")
    let thread = Thread {
      do { try body() } catch { XCTFail("\(error)") }
      done.fulfill()
    }
    thread.stackSize = 512 << 10
    thread.start()
    wait(for: [done], timeout: 120)
  }

  func testLoopsEnd() {
    assertFault("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    assertFault("{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}")
    assertFault("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")
    assertFault("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}")
    assertFault("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}")
    assertFault("{{ range(99999) | map('string') | map('upper') | list | sum(start='') }}")
  }

  func testMemoryIsBounded() {
    assertFault("{{ 'a' * 99999999999 }}")
    assertFault("{{ [0] * 99999999999 }}")
    assertFault("{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}")
    assertFault("{% set n = namespace(s=['ab']) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}")
    assertFault("{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}")
    assertFault(
      "{% set n = namespace(s=(1, 2)) %}{% for i in range(60) %}{% set n.s = (n.s, n.s) %}{% endfor %}{{ {n.s: 1} }}")
    assertFault(
      "{% set n = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.s == n.t }}"
    )
    assertFault(
      "{% set n = namespace(s='ab', l=[]) %}{% for i in range(20) %}{% set n.s = n.s ~ n.s %}{% endfor %}{% for i in range(9999) %}{% set n.l = n.l + [n.s ~ i] %}{% endfor %}"
    )
    assertFault("{{ 'a'.center(99999999999) }}")
    assertFault("{{ '%99999999d' % 1 }}")
    assertFault("{{ '{:99999999}'.format(1) }}")
    assertFault("{{ ('a' * 4000000).replace('', 'a' * 4000000) }}")
    assertFault(
      "{{ ('a' * 4000000) | list | length }}{{ ('a' * 4000000) | list | length }}{{ ('a' * 4000000) | list | length }}")
    assertFault("{{ [1] | batch(99999999999, 1) | list }}")
    assertFault("{{ [1] | slice(99999999999) | list }}")
    assertFault("{{ ['a'] | join | indent(99999999999, true) }}")
    assertFault("{{ (['a'] * 1000000) | join('b' * 1000000) }}")
    assertFault("{{ [[1]] | tojson(indent=99999999) | length }}{{ 'x' * 99999999 }}")
    assertFault("{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}")
  }

  func testCostlySearchesEnd() {
    assertFault("{{ ('a' * 8000000).count('a' * 4000000 ~ 'b') }}")
    assertFault("{{ ('a' * 8000000).split('a' * 4000000 ~ 'b') }}")
    assertFault("{{ ('a' * 8000000) | replace('a' * 4000000 ~ 'b', 'x') }}")
    assertFault("{{ ('a' * 4000000 ~ 'b') in ('a' * 8000000) }}")
    let marked: [(String, Value)] = [("a", .marked(String(repeating: "é", count: 200_000), 1))]
    let start = Date()
    let source = "{{ a.replace('', '-').split('-') | length }}{{ a.replace('', '-').upper() | length }}"
    XCTAssertEqual(try Template(source).render(marked).text, "200002400001")
    XCTAssertLessThan(Date().timeIntervalSince(start), 10)
  }

  func testNumbersOverflowWithAFault() {
    for expression in [
      "9223372036854775807 + 1", "-9223372036854775807 - 2", "9223372036854775807 * 2", "2 ** 64", "10 ** 400",
      "(-9223372036854775807 - 1) // -1", "-(-9223372036854775807 - 1)", "9223372036854775808", "2.0 ** 5000",
      "(-8) ** 0.5", "0 ** -1", "range(9223372036854775807)", "'a' * 9223372036854775807",
      "'%d' % 1e300", "1e300 | round(999)",
    ] { assertFault("{{ \(expression) }}") }
    XCTAssertEqual(
      try Template(
        "{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}{{ 'abc'[::-9223372036854775807] }}"
          + "{{ 'abc'.find('c', -9223372036854775807) }}{{ [1, 2] | batch(4000000) | list }}{{ 1e300 | int }}"
      ).render([]).text, "ac2[[1, 2]]0")
  }

  func testDeepNestingIsRefusedOnASmallStack() {
    onSmallStack {
      for (open, close) in [
        ("(", ")"), ("[", "]"), ("{1:", "}"), ("f(", ")"), ("-", ""), ("not ", ""), ("a[", "]"), ("x if y else ", ""),
      ] {
        let source =
          "{{ " + String(repeating: open, count: 50_000) + "1" + String(repeating: close, count: 50_000) + " }}"
        XCTAssertThrowsError(try Template(source), open)
      }
      for link in [" + 1", ".a", "|upper", "[0]", "()", " and 1", " is string", " if 1 else 2"] {
        let source = "{{ 1" + String(repeating: link, count: 50_000) + " }}"
        XCTAssertThrowsError(try Template(source).render([]), link)
      }
      for (open, close) in [
        ("{% if 1 %}", "{% endif %}"), ("{% for x in y %}", "{% endfor %}"), ("{% set x %}", "{% endset %}"),
      ] {
        let source = String(repeating: open, count: 50_000) + String(repeating: close, count: 50_000)
        XCTAssertThrowsError(try Template(source), open)
      }
    }
  }

  func testDeepestAllowedNestingFitsASmallStack() {
    onSmallStack {
      let parentheses = String(repeating: "(", count: 48) + "1" + String(repeating: ")", count: 48)
      XCTAssertEqual(try? Template("{{ \(parentheses) }}").render([]).text, "1")
      let lists = String(repeating: "[", count: 96) + String(repeating: "]", count: 96)
      XCTAssertEqual(try? Template("{{ \(lists) }}").render([]).text, lists)
      let sum = "1" + String(repeating: " + 1", count: 140)
      XCTAssertEqual(try? Template("{{ \(sum) }}").render([]).text, "141")
      let ifs = String(repeating: "{% if 1 %}", count: 95) + "x" + String(repeating: "{% endif %}", count: 95)
      XCTAssertEqual(try? Template(ifs).render([]).text, "x")
      for source in [
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(x) %}{% if x %}{% for y in [1] %}{{ [(m(x) | upper) ~ '' + '' if x else 1] }}{% endfor %}{% endif %}{% endmacro %}{{ m(1) }}",
        "{% macro m() %}{% set s %}{% filter upper %}{% call m() %}{% endcall %}{% endfilter %}{% endset %}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set n = namespace(v=[1]) %}{% for i in range(99) %}{% set n.v = n.v | map('upper') %}{% endfor %}{{ n.v | list }}",
        "{% set n = namespace(v=[1]) %}{% for i in range(9999) %}{% set n.v = n.v | map('upper') %}{% endfor %}{{ n.v | list }}",
        "{% set n = namespace(v=[1]) %}{% for i in range(9999) %}{% set n.v = [n.v] %}{% endfor %}",
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
        "{% set n = namespace() %}{% set n.n = [n] %}{{ n | tojson }}",
      ] { XCTAssertThrowsError(try Template(source).render([]), source) }
    }
  }

  /// Values that hold one another die with the rendering.
  func testCirclesAreFreed() throws {
    weak var namespace: Namespace?
    try autoreleasepoolFree {
      let kept = Namespace()
      namespace = kept
      _ = try Template(
        "{% set n = namespace(k=k) %}{% set n.n = n %}{% macro m() %}{{ n.k is defined }}{% endmacro %}{% set n.m = m %}"
          + "{% for x in [1] %}{% set n.l = loop %}{{ m() }}{% endfor %}{% set c = cycler(n, m) %}{% set n.c = c %}"
      ).render([("k", .namespace(kept))])
    }
    XCTAssertNil(namespace)
  }

  private func autoreleasepoolFree(_ body: () throws -> Void) rethrows { try body() }

  /// Thousands of damaged templates: each renders or tells a fault.
  func testDamagedTemplatesNeverCrash() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let fixture = try JSON(contentsOf: folder.appendingPathComponent("Fixtures/snippets.json").path)
    let variables = try XCTUnwrap(fixture["variables"]?.object).map { ($0.key, try Value($0.value)) }
    let sources = try XCTUnwrap(fixture["cases"]?.array).compactMap { $0["template"]?.string }.map {
      Array($0.unicodeScalars)
    }
    var random = SplitMix(state: 1)
    var limits = Template.Limits()
    limits.steps = 20_000
    var rendered = 0
    for _ in 0..<20_000 {
      var scalars = sources[Int(random.next() % UInt64(sources.count))]
      for _ in 0...random.next() % 3 where !scalars.isEmpty {
        let at = Int(random.next() % UInt64(scalars.count))
        let other = sources[Int(random.next() % UInt64(sources.count))]
        switch random.next() % 4 {
        case 0: scalars.remove(at: at)
        case 1: scalars.insert(scalars[Int(random.next() % UInt64(scalars.count))], at: at)
        case 2: scalars.swapAt(at, Int(random.next() % UInt64(scalars.count)))
        default: if !other.isEmpty { scalars.insert(contentsOf: other.suffix(Int(random.next() % 12)), at: at) }
        }
      }
      let source = String(String.UnicodeScalarView(scalars))
      do {
        _ = try Template(source).render(variables, limits: limits)
        rendered += 1
      } catch is Fault {
      } catch { XCTFail("\(error): \(source)") }
    }
    XCTAssertGreaterThan(rendered, 1000)
    XCTAssertLessThan(rendered, 19_000)
  }

  private struct SplitMix {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }
}
