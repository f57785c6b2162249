import XCTest

@testable import Media

final class OrientationTests: XCTestCase {
  /// The pixels of a 3 × 2 picture are 1 2 3 / 4 5 6; what each orientation makes of them.
  func testEachOrientation() {
    let stored = picture(width: 3, [1, 2, 3, 4, 5, 6])
    let upright: [Orientation: (Int, [UInt8])] = [
      .upright: (3, [1, 2, 3, 4, 5, 6]), .mirrored: (3, [3, 2, 1, 6, 5, 4]), .halfTurn: (3, [6, 5, 4, 3, 2, 1]),
      .flipped: (3, [4, 5, 6, 1, 2, 3]), .transposed: (2, [1, 4, 2, 5, 3, 6]),
      .quarterTurn: (2, [4, 1, 5, 2, 6, 3]), .transverse: (2, [6, 3, 5, 2, 4, 1]),
      .threeQuarterTurn: (2, [3, 6, 2, 5, 1, 4]),
    ]
    for orientation in Orientation.allCases {
      let (width, values) = upright[orientation]!
      XCTAssertEqual(stored.turned(orientation), picture(width: width, values), "\(orientation)")
    }
  }

  func testTurningBackGivesTheSamePicture() {
    let scene = Picture.scene(width: 97, height: 41)
    XCTAssertEqual(scene.turned(.quarterTurn).turned(.threeQuarterTurn), scene)
    XCTAssertEqual(scene.turned(.transverse).turned(.transverse), scene)
    XCTAssertNotEqual(scene.turned(.quarterTurn), scene.turned(.threeQuarterTurn))
  }

  func testDamagedEXIFIsUpright() {
    let little: [UInt8] = [0x49, 0x49, 0x2A, 0]
    let entry: [UInt8] = [0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]
    XCTAssertEqual(Orientation(exif: little + [8, 0, 0, 0, 1, 0] + entry), .quarterTurn)
    for count in 0..<20 {
      let cut = Array((little + [8, 0, 0, 0, 1, 0] + entry).prefix(count))
      XCTAssertNil(Orientation(exif: cut), "\(count) bytes")
    }
    XCTAssertNil(Orientation(exif: little + [0xFF, 0xFF, 0xFF, 0xFF, 1, 0] + entry))
    XCTAssertNil(Orientation(exif: little + [8, 0, 0, 0, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 24)))
    let far: [UInt8] = [0x12, 1, 4, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xF0, 0xFF, 0xFF, 0xFF]
    XCTAssertNil(Orientation(exif: little + [8, 0, 0, 0, 1, 0] + far))
    XCTAssertEqual(Orientation(app1: [Array("Exif\0\0".utf8) + little]), .upright)
    XCTAssertEqual(Orientation(app1: []), .upright)
  }

  func testANumberThatIsNoOrientationIsUpright() {
    let head: [UInt8] = [0x4D, 0x4D, 0, 0x2A, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1]
    XCTAssertEqual(Orientation(exif: head + [0, 8, 0, 0]), .threeQuarterTurn)
    XCTAssertEqual(Orientation(exif: head + [0, 9, 0, 0]), .upright)
  }

  func testXMP() {
    XCTAssertEqual(Orientation(xmp: Array("t tiff:O tiff:Orientation=\"3\"".utf8)), .halfTurn)
    XCTAssertEqual(Orientation(xmp: Array("<tiff:Orientation>8</tiff:Orientation>".utf8)), .threeQuarterTurn)
    XCTAssertNil(Orientation(xmp: Array("tiff:Orientation".utf8)))
    XCTAssertNil(Orientation(xmp: Array("tiff:Orientation=\"x\"".utf8)))
  }

  private func picture(width: Int, _ values: [UInt8]) -> Picture {
    Picture(width: width, height: values.count / width, pixels: values.flatMap { [$0, $0 &+ 100, $0 &+ 200] })
  }
}
