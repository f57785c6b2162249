import Foundation
import Ground
import XCTest

@testable import Datasets
@testable import Media

/// Changes of pictures that leave what their records say true.
final class AugmentationTests: XCTestCase {
  private func draw(_ seed: UInt64) -> RandomDraw {
    RandomDraw { Double(scramble(scramble(seed) &+ UInt64($0)) >> 11) * 0x1p-53 }
  }

  private func bench(_ change: (inout Augmentation) -> Void, maxLength: Int = 400) throws -> RegionBench {
    var style = BoxStyle()
    style.convention = .thousandths
    var bench = try RegionBench(boxes: style, maxLength: maxLength)
    var rule = Augmentation()
    change(&rule)
    bench.processor.augmentation = rule
    try bench.draw("a.png", width: 160, height: 120, white: (96, 24, 144, 60))
    return bench
  }

  private func boxed(_ bench: RegionBench, _ box: JSON = [96, 24, 144, 60]) throws -> Record {
    try bench.record("a.png", "Is <region:a>this</region> white?", "Yes", ["a": ["box": box]])
  }

  func testBoxesFollowCropsAndFlips() throws {
    let bench = try bench {
      $0.cropScale = 0.3...1
      ($0.flip, $0.flipBoxes) = (0.5, .flip)
    }
    let record = try boxed(bench)
    var (flips, texts) = (0, Set<String>())
    for seed in UInt64(0)..<200 {
      let sample = try bench.processor.sample(record, draw(seed))
      XCTAssertEqual(sample, try bench.processor.sample(record, draw(seed)), "a pure function of the draw")
      let text = bench.text(sample)
      texts.insert(text)
      let numbers = text.split { !"0123456789".contains($0) }.compactMap { Double($0) }
      XCTAssertEqual(numbers.count, 4)
      // The white of the pixels lies where the text says.
      let pixels = try XCTUnwrap(sample.pixels.first).values
      var (sum, x, y) = (0.0, 0.0, 0.0)
      for index in 0..<28 * 28 {
        sum += Double(pixels[index])
        x += Double(pixels[index]) * (Double(index % 28) + 0.5) / 28
        y += Double(pixels[index]) * (Double(index / 28) + 0.5) / 28
      }
      XCTAssertEqual(x / sum, (numbers[0] + numbers[2]) / 2000, accuracy: 0.006, text)
      XCTAssertEqual(y / sum, (numbers[1] + numbers[3]) / 2000, accuracy: 0.006, text)
      let area = (numbers[2] - numbers[0]) * (numbers[3] - numbers[1]) / 1e6
      XCTAssertEqual(sum / 255 / 784, area, accuracy: 0.02, text)
      if (numbers[0] + numbers[2]) / 2 < 300 { flips += 1 }
      XCTAssertFalse(sample.regions[0].rows.isEmpty)
    }
    XCTAssertGreaterThan(texts.count, 150)
    XCTAssertTrue((30...100).contains(flips), "\(flips) are clearly on the left")
    XCTAssertEqual(
      bench.text(try bench.processor.sample(record)),
      "<s><|user|>Is this [600, 200, 900, 500] white?<|assistant|>Yes</s>")
  }

  func testNoCropCutsARegionOff() throws {
    let bench = try bench { $0.cropScale = 0.05...0.3 }
    // All of the picture: any crop of less than half the area cuts too much of it.
    let record = try boxed(bench, [0, 0, 160, 120])
    for seed in UInt64(0)..<20 {
      XCTAssertEqual(try bench.processor.sample(record, draw(seed)), try bench.processor.sample(record))
    }
    let small = try boxed(bench, [0, 0, 10, 10])
    for seed in UInt64(0)..<200 {
      let numbers = bench.text(try bench.processor.sample(small, draw(seed))).split { !"0123456789".contains($0) }
      XCTAssertEqual(numbers[0...1], ["0", "0"], "at least half of it is there")
    }
  }

  func testWindowsKeepTheProportions() throws {
    var rule = Augmentation()
    rule.cropScale = 0.25...0.25
    let record = Record(id: nil, turns: [], images: ["a"], place: "", index: 0)
    let size = PictureSize(height: 100, width: 300)
    for (numbers, left, top) in [(0.0, 0, 0), (0.999999, 150, 50), (0.5, 75, 25)] {
      let views = rule.views(record, [size], RandomDraw { _ in numbers }) { _, _ in true }
      XCTAssertEqual(views[0].window, PictureWindow(left: left, top: top, width: 150, height: 50))
    }
    let pixel = rule.views(record, [PictureSize(height: 1, width: 1)], RandomDraw { _ in 0.9 }) { _, _ in true }
    XCTAssertEqual(pixel[0].window, PictureWindow(left: 0, top: 0, width: 1, height: 1))
  }

  func testColours() throws {
    let bench = try bench { ($0.brightness, $0.contrast, $0.saturation) = (0.2, 0.3, 1) }
    let record = try bench.record("a.png", "What is left?", "Nothing", [:])
    let views = try XCTUnwrap(bench.processor.augmentation).views(
      record, [PictureSize(height: 120, width: 160)], RandomDraw { $0 == 49 ? 0.25 : $0 == 50 ? 0.5 : 0.75 }
    ) { _, _ in true }
    XCTAssertEqual(views[0].colours.brightness, 0.9)
    XCTAssertEqual(views[0].colours.contrast, 1)
    XCTAssertEqual(views[0].colours.saturation, 1.5)
    let picture = try record.images[0].picture()
    let sample = try bench.processor.sample(record, draw(3))
    let view = try XCTUnwrap(bench.processor.augmentation).views(record, [picture.size], draw(3)) { _, _ in true }[0]
    let vision = try XCTUnwrap(bench.processor.vision)
    XCTAssertEqual(sample.pixels[0].values, try vision.processor.pixels(picture.seen(view)))
    XCTAssertNotEqual(sample.pixels[0].values, try vision.processor.pixels(picture))
  }

  func testWhatAFlipWouldMakeUntrue() throws {
    var bench = try bench { $0.flip = 1 }
    let sided = try bench.record("a.png", "Where is it?", "Oben LINKS.", [:])
    let region = try boxed(bench)
    let plain = try bench.record("a.png", "What is bright?", "The box", [:])
    func fault(_ record: Record) throws -> String? {
      do { try bench.processor.check(record) } catch let fault as Fault { return fault.what }
      return nil
    }
    XCTAssertEqual(
      try fault(sided), "data.augment.flip mirrors pictures, and the record speaks of sides ('links')")
    XCTAssertEqual(try fault(region), "data.augment.flip mirrors pictures, and the record has regions ('a')")
    XCTAssertNil(try fault(plain))
    func isFlipped(_ record: Record) throws -> Bool {
      let pixels = try bench.processor.sample(record, draw(1)).pixels[0].values
      return pixels[10 * 28 + 6] > pixels[10 * 28 + 21]
    }
    XCTAssertTrue(try isFlipped(plain))
    bench.processor.augmentation?.flipSided = .keep
    bench.processor.augmentation?.flipBoxes = .keep
    XCTAssertEqual([try isFlipped(sided), try isFlipped(region), try isFlipped(plain)], [false, false, true])
    bench.processor.augmentation?.flipSided = .flip
    bench.processor.augmentation?.flipBoxes = .flip
    XCTAssertEqual([try isFlipped(sided), try isFlipped(region), try isFlipped(plain)], [true, true, true])
    bench.processor.augmentation?.flipSided = .keep
    let both = try bench.record(
      "a.png", "Is <region:a>the left box</region> white?", "Yes", ["a": ["box": [96, 24, 144, 60]]])
    XCTAssertFalse(try isFlipped(both))
    bench.processor.augmentation?.flip = 0
    bench.processor.augmentation?.flipSided = .refuse
    XCTAssertNil(try fault(sided))
  }

  func testSideWords() {
    for text in [
      "On the left, a cat", "LEFT", "the right-hand side", "im linken Auge", "oben rechts.", "à gauche", "l'œil droit",
      "a la izquierda", "mão direita", "a sinistra", "lewa ręka", "слева", "在左边", "右手", "왼쪽에 있다", "ด้านซ้าย", "في اليسار",
      "solda", "vänstra",
    ] {
      XCTAssertNotNil(SideWords.first(in: text), text)
    }
    for text in [
      "", "What is bright?", "upright and alright", "the cleft palate", "das Recht", "Linkshänderin", "leftover",
      "copyright", "solar", "balcony", "上下", "위쪽",
    ] {
      XCTAssertNil(SideWords.first(in: text), text)
    }
  }

  func testATextThatGetsTooLongIsTakenAsItWasChecked() throws {
    func flipping(maxLength: Int) throws -> RegionBench {
      try bench({ ($0.flip, $0.flipBoxes, $0.brightness) = (0.5, .flip, 0) }, maxLength: maxLength)
    }
    // [0, 0, 200, 500] becomes [800, 0, 1000, 500].
    let whole = try flipping(maxLength: 400)
    let record = try boxed(whole, [0, 0, 32, 60])
    let length = try whole.processor.encode(record).ids.count
    let tight = try flipping(maxLength: length)
    var plain = 0
    for seed in UInt64(0)..<100 {
      let sample = try tight.processor.sample(record, draw(seed))
      XCTAssertLessThanOrEqual(sample.ids.count, length)
      let free = try whole.processor.sample(record, draw(seed))
      if free.ids.count <= length {
        XCTAssertEqual(sample.ids, free.ids)
      } else {
        XCTAssertEqual(sample.ids, try whole.processor.sample(record).ids)
        XCTAssertEqual(sample.pixels, try whole.processor.sample(record).pixels)
        plain += 1
      }
    }
    XCTAssertTrue((1..<100).contains(plain), "\(plain)")
  }
}
