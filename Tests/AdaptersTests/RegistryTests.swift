import RunFile
import XCTest

@testable import Adapters

/// Every word that the run file knows for a method stands for one.
final class RegistryTests: XCTestCase {
  func testEveryMethodIsThere() throws {
    for word in PartConfiguration.Method.allCases where word != .qlora {
      let method = try XCTUnwrap(PartConfiguration(.language, train: word).method, word.rawValue)
      let tuning = try method.tuning(of: .language)
      XCTAssertEqual(tuning.part, .language)
      let formats = adapterFormats.filter { $0.holds([tuning]) }
      XCTAssertLessThanOrEqual(Set(formats.map { ObjectIdentifier($0) }).count, 1, "\(word) has one format")
    }
  }
}
