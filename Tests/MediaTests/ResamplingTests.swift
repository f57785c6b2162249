import XCTest

@testable import Media

final class ResamplingTests: XCTestCase {
  func testEverySizeAndFilterHasTheReferencesBytes() throws {
    for item in try Fixtures.expected("resize") {
      let width = try XCTUnwrap(item["width"]?.integer)
      let height = try XCTUnwrap(item["height"]?.integer)
      let filter = try XCTUnwrap(item["resample"]?.integer.flatMap(ResampleFilter.init(rawValue:)))
      let picture = try Fixtures.picture(XCTUnwrap(item["file"]?.string))
      let resized = picture.resized(width: width, height: height, filter: filter)
      XCTAssertEqual(sum(resized.pixels), item["sum"]?.string, "\(item)")
    }
  }

  func testAPartIsCutOutOfTheWhole() {
    for (width, height, newWidth, newHeight) in [
      (61, 47, 30, 20), (20, 33, 90, 70), (15, 200, 40, 33), (50, 40, 50, 13),
    ] {
      let picture = Picture.scene(width: width, height: height)
      for filter in ResampleFilter.allCases {
        let whole = picture.resized(width: newWidth, height: newHeight, filter: filter)
        var plan = ResizePlan(width: newWidth, height: newHeight)
        plan.columns = 5..<newWidth - 7
        plan.rows = 3..<newHeight - 1
        let part = picture.resized(plan, filter: filter)
        let expected = plan.rows.flatMap { row in
          whole.pixels[3 * (row * newWidth + plan.columns.lowerBound)..<3 * (row * newWidth + plan.columns.upperBound)]
        }
        XCTAssertEqual(part.pixels, expected, "\(filter) \(width) × \(height)")
      }
    }
  }

  func testPlainColoursStayTheSame() {
    let picture = Picture(width: 37, height: 23, pixels: (0..<37 * 23).flatMap { _ in [0, 128, 255] as [UInt8] })
    for filter in ResampleFilter.allCases {
      for (width, height) in [(5, 5), (80, 90), (3, 100), (100, 3)] {
        let resized = picture.resized(width: width, height: height, filter: filter)
        XCTAssertEqual(resized.pixels, (0..<width * height).flatMap { _ in [0, 128, 255] as [UInt8] }, "\(filter)")
      }
    }
  }

  /// A weight of 2^22 / 650000 = 6.45 is rounded to 6, so that the reference is as dark.
  func testAVeryWidePicture() {
    let width = 1_300_000
    let half = [UInt8](repeating: 10, count: 3 * width / 2)
    let picture = Picture(width: width, height: 2, pixels: half + half.map { $0 + 90 } + half + half.map { $0 + 90 })
    XCTAssertEqual(
      picture.resized(width: 2, height: 1, filter: .box).pixels, [9, 9, 9, 93, 93, 93])
    XCTAssertEqual(picture.resized(width: 1, height: 1, filter: .box).pixels, [51, 51, 51])
    let quarters = picture.resized(width: 4, height: 2, filter: .box)
    XCTAssertEqual(quarters.pixels.prefix(12), [10, 10, 10, 10, 10, 10, 101, 101, 101, 101, 101, 101])
  }

  func testOnlyTheWantedPartOfAnEndlessPictureIsMade() {
    let picture = Picture(width: 400_000, height: 1, pixels: [UInt8](repeating: 77, count: 1_200_000))
    for filter in ResampleFilter.allCases {
      var plan = ResizePlan(width: 400_000 * 224, height: 224)
      plan.columns = 44_799_888..<44_800_112
      let part = picture.resized(plan, filter: filter)
      XCTAssertEqual(part.width, 224)
      XCTAssertEqual(Set(part.pixels), [77], "\(filter)")
    }
  }
}
