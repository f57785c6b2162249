import Foundation
import Ground
import Media
import XCTest

@testable import Demo

final class PictureSetTests: XCTestCase {
  func testTheSameSeedGivesTheSameBytes() throws {
    for index in [0, 7, 31] {
      let set = PictureSet(purpose: .training, count: 32)
      XCTAssertEqual(try set.scene(index).encoded(), try set.scene(index).encoded())
      XCTAssertEqual(set.conversation(index), set.conversation(index))
      XCTAssertNotEqual(set.scene(index), PictureSet(purpose: .training, count: 32, seed: 1).scene(index))
    }
  }

  func testPicturesAreTheSameInEveryVersion() throws {
    let scene = PictureSet.training.scene(0)
    XCTAssertEqual("\(scene.count) \(scene.colour) \(scene.shape) \(scene.side)", "3 purple triangle right")
  }

  func testFilesAreRealPicturesOfBothKindsAndManySizes() throws {
    var endings: [String: Int] = [:]
    var sizes: Set<[Int]> = []
    for index in 0..<60 {
      let scene = PictureSet.training.scene(index)
      let bytes = try scene.encoded()
      XCTAssertEqual(bytes.starts(with: [0xFF, 0xD8, 0xFF]), scene.fileEnding == "jpg")
      let picture = try bytes.withUnsafeBytes { try Picture(decoding: $0, at: "picture \(index)") }
      XCTAssertEqual([picture.width, picture.height], [scene.width, scene.height])
      endings[scene.fileEnding, default: 0] += 1
      sizes.insert([scene.width, scene.height])
    }
    XCTAssertGreaterThan(endings["png", default: 0], 8)
    XCTAssertGreaterThan(endings["jpg", default: 0], 30)
    XCTAssertGreaterThan(sizes.count, 50)
  }

  func testEveryFigureShowsItsColourAtItsPlace() throws {
    for index in 0..<40 {
      let scene = PictureSet.training.scene(index)
      let picture = scene.drawn()
      for figure in scene.figures {
        let (x, y) = (Int(figure.x * Double(scene.width)), Int(figure.y * Double(scene.height)))
        let first = 3 * (y * scene.width + x)
        let pixel = picture.pixels[first..<first + 3].map(Int.init)
        XCTAssertEqual(nearestColour(pixel), figure.colour, "picture \(index), \(figure)")
      }
    }
  }

  func testFiguresDoNotTouchAndLieInside() {
    for index in 0..<300 {
      let scene = PictureSet.training.scene(index)
      let (width, height) = (Double(scene.width), Double(scene.height))
      let figures = scene.figures
      for (place, figure) in figures.enumerated() {
        let radius = figure.radius * min(width, height)
        XCTAssertGreaterThan(min(figure.x, 1 - figure.x) * width, radius * 0.9)
        XCTAssertGreaterThan(min(figure.y, 1 - figure.y) * height, radius * 0.9)
        for other in figures.dropFirst(place + 1) {
          let gap = hypot((figure.x - other.x) * width, (figure.y - other.y) * height)
          XCTAssertGreaterThan(gap, radius + other.radius * min(width, height) - 2, "picture \(index)")
        }
      }
    }
  }

  func testEveryFigureIsOnTheSideOfItsScene() {
    for index in 0..<200 {
      let scene = PictureSet.training.scene(index)
      XCTAssertTrue((1...3).contains(scene.count))
      for figure in scene.figures { XCTAssertEqual(figure.x < 0.5 ? Scene.Side.left : .right, scene.side) }
    }
  }

  func testNoHeldOutPictureIsInTheTrainingSet() throws {
    let drawn = (0..<PictureSet.training.count).map { Look(PictureSet.training.scene($0)) }
    let training = Set(drawn)
    XCTAssertEqual(training.count, PictureSet.training.count, "training pictures differ from each other")
    for index in 0..<PictureSet.heldOut.count {
      XCTAssertFalse(training.contains(Look(PictureSet.heldOut.scene(index))))
    }
  }

  func testEveryShapeIsInsideItsCircleAndHasItsCentreFilled() {
    for shape in Shape.allCases {
      XCTAssertLessThan(shape.distance(.zero), 0)
      for step in 0..<36 {
        let angle = Double(step) * .pi / 18
        XCTAssertGreaterThan(shape.distance(SIMD2(cos(angle), sin(angle)) * 1.3), 0, "\(shape)")
      }
    }
    XCTAssertLessThan(Shape.square.distance(SIMD2(0.6, 0.6)), -0.15)
  }

  /// Where figures are and what they look like, without the numbers that no eye can tell apart.
  private struct Look: Hashable {
    let shape: Shape
    let colour: Colour
    let places: [[Int]]

    init(_ scene: Scene) {
      (shape, colour) = (scene.shape, scene.colour)
      places = scene.figures.map { [Int($0.x * 5000), Int($0.y * 5000)] }
    }
  }

  private func nearestColour(_ pixel: [Int]) -> Colour {
    let all: [(Colour, [Int])] = [
      (.red, [216, 38, 44]), (.orange, [246, 134, 22]), (.yellow, [250, 220, 44]), (.green, [44, 166, 72]),
      (.blue, [42, 96, 218]), (.purple, [146, 62, 184]),
    ]
    func distance(_ colour: [Int]) -> Int { zip(colour, pixel).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
    return all.min { distance($0.1) < distance($1.1) }?.0 ?? .red
  }
}
