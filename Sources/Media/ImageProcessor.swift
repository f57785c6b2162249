/// Turns pictures into what a vision tower takes: resize, centre crop, rescale, normalise.
///
/// The same as the CLIP, SigLIP and LLaVA image processors of transformers with their Pillow backend: the bytes after
/// resizing and cropping are equal, and so are the floats, which are computed in the same precisions:
/// (float32(x · rescale_factor) − mean) / std, the product in float64, the rest in float32.
public struct ImageProcessor: Equatable, Sendable {
  /// The size that pictures are resized to, before the crop.
  enum Size: Equatable, Sendable {
    /// The shorter side becomes this long; the longer one keeps the proportion, rounded down.
    case shortestEdge(Int)
    case exactly(height: Int, width: Int)
  }

  /// nil: pictures are not resized.
  let size: Size?
  let filter: ResampleFilter
  /// Cut out of the middle, black where the picture is smaller; nil: nothing is cut.
  let crop: PictureSize?
  /// The colour of the bars that make a picture square before all else; nil: none.
  let squareFill: [UInt8]?
  /// `[3, 256]`: what each byte of each channel becomes.
  let values: [Float]

  /// The size of what comes out, in pixels.
  public let height: Int
  public let width: Int

  /// `crop` or an exact `size` must be given: all pictures come out in one size.
  init(
    size: Size?, filter: ResampleFilter, crop: PictureSize?, squareFill: [UInt8]?, values: [Float], output: PictureSize
  ) {
    self.size = size
    self.filter = filter
    self.crop = crop
    self.squareFill = squareFill
    self.values = values
    (height, width) = (output.height, output.width)
  }

  /// All its settings in words: two processors with the same ones make the same of a picture.
  public var settings: String { String(reflecting: self) }

  /// The bytes after resizing and cropping, before rescaling.
  public func resized(_ picture: Picture) -> Picture {
    let picture = squareFill.map { picture.squared(fill: $0) } ?? picture
    let (wholeHeight, wholeWidth) =
      switch size {
      case nil: (picture.height, picture.width)
      case .exactly(let height, let width): (height, width)
      case .shortestEdge(let edge): Self.scaled(height: picture.height, width: picture.width, shortestEdge: edge)
      }
    var plan = ResizePlan(width: wholeWidth, height: wholeHeight)
    guard let crop else { return picture.resized(plan, filter: filter) }

    // Where the crop begins in the resized picture, rounded down; negative where the picture is smaller.
    let left = (wholeWidth - crop.width) >> 1
    let top = (wholeHeight - crop.height) >> 1
    plan.columns = max(left, 0)..<min(left + crop.width, wholeWidth)
    plan.rows = max(top, 0)..<min(top + crop.height, wholeHeight)
    let part = picture.resized(plan, filter: filter)
    if part.width == crop.width && part.height == crop.height { return part }
    return part.placed(left: max(-left, 0), top: max(-top, 0), width: crop.width, height: crop.height)
  }

  /// `[3, height, width]`, rescaled and normalised.
  public func pixels(_ picture: Picture) -> [Float] {
    let bytes = resized(picture).pixels
    let plane = height * width
    return [Float](unsafeUninitializedCapacity: 3 * plane) { target, written in
      bytes.withUnsafeBufferPointer { bytes in
        values.withUnsafeBufferPointer { values in
          for pixel in 0..<plane {
            target[pixel] = values[Int(bytes[3 * pixel])]
            target[plane + pixel] = values[256 + Int(bytes[3 * pixel + 1])]
            target[2 * plane + pixel] = values[512 + Int(bytes[3 * pixel + 2])]
          }
        }
      }
      written = 3 * plane
    }
  }

  /// The size whose shorter side is `edge` long and whose longer side is ⌊edge · long / short⌋.
  static func scaled(height: Int, width: Int, shortestEdge edge: Int) -> (height: Int, width: Int) {
    let (short, long) = width <= height ? (width, height) : (height, width)
    let newLong = Int(Double(edge * long) / Double(short))
    return width <= height ? (newLong, edge) : (edge, newLong)
  }
}

/// Height and width in pixels.
struct PictureSize: Equatable, Sendable {
  var height: Int
  var width: Int
}

extension Picture {
  /// The picture on a black ground of `width` × `height`.
  func placed(left: Int, top: Int, width: Int, height: Int, on fill: [UInt8] = [0, 0, 0]) -> Picture {
    Picture(width: width, height: height) { target in
      for pixel in 0..<width * height {
        for channel in 0..<3 { target[3 * pixel + channel] = fill[channel] }
      }
      pixels.withUnsafeBufferPointer { source in
        for row in 0..<self.height {
          (target.baseAddress! + 3 * ((top + row) * width + left))
            .update(from: source.baseAddress! + 3 * row * self.width, count: 3 * self.width)
        }
      }
    }
  }

  /// The picture in the middle of a square as long as its longer side.
  func squared(fill: [UInt8]) -> Picture {
    let side = max(width, height)
    if width == height { return self }
    return placed(left: (side - width) / 2, top: (side - height) / 2, width: side, height: side, on: fill)
  }
}
