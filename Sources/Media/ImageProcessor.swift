import Ground

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

  /// What is done to a picture of one size, in order.
  struct Steps: Equatable {
    /// The bars in front, and the size with all bars.
    var barLeft = 0
    var barTop = 0
    var padded: PictureSize
    var resized: PictureSize
    /// Where the output begins in what was resized; negative where the output is larger.
    var left = 0
    var top = 0
  }

  func steps(height: Int, width: Int) -> Steps {
    let side = max(height, width)
    let padded = PictureSize(height: squareFill == nil ? height : side, width: squareFill == nil ? width : side)
    let resized =
      switch size {
      case nil: padded
      case .exactly(let height, let width): PictureSize(height: height, width: width)
      case .shortestEdge(let edge): Self.scaled(padded, shortestEdge: edge)
      }
    var steps = Steps(
      barLeft: (padded.width - width) / 2, barTop: (padded.height - height) / 2, padded: padded, resized: resized)
    if let crop {
      // Rounded down, also below 0.
      steps.left = (resized.width - crop.width) >> 1
      steps.top = (resized.height - crop.height) >> 1
    }
    return steps
  }

  /// Whether bars make pictures square before all else.
  public var padsToSquare: Bool { squareFill != nil }

  /// Refuses a picture that bars would make too large, before any memory is taken for it.
  /// - Throws: `Fault(.badData)`.
  public func check(height: Int, width: Int, at place: String? = nil) throws {
    let side = max(height, width)
    guard squareFill != nil, side > Picture.longestSide || side * side > Picture.mostPixels else { return }
    throw Fault(
      .badData,
      "the picture of \(width) × \(height) pixels is too large when it is made square, as do_pad says: at most "
        + "\(Picture.mostPixels) pixels are taken", at: place, "scale the picture down, or cut it")
  }

  /// The bytes after resizing and cropping, before rescaling.
  /// - Throws: as ``check(height:width:at:)``; `place` names the picture.
  public func resized(_ picture: Picture, at place: String? = nil) throws -> Picture {
    try check(height: picture.height, width: picture.width, at: place)
    let steps = steps(height: picture.height, width: picture.width)
    let picture =
      squareFill.map { picture.placed(left: steps.barLeft, top: steps.barTop, in: steps.padded, on: $0) } ?? picture
    var plan = ResizePlan(width: steps.resized.width, height: steps.resized.height)
    guard let crop else { return picture.resized(plan, filter: filter) }
    plan.columns = max(steps.left, 0)..<min(steps.left + crop.width, plan.width)
    plan.rows = max(steps.top, 0)..<min(steps.top + crop.height, plan.height)
    return picture.resized(plan, filter: filter).placed(left: max(-steps.left, 0), top: max(-steps.top, 0), in: crop)
  }

  /// `[3, height, width]`, rescaled and normalised.
  /// - Throws: as ``check(height:width:at:)``; `place` names the picture.
  public func pixels(_ picture: Picture, at place: String? = nil) throws -> [Float] {
    let bytes = try resized(picture, at: place).pixels
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
  static func scaled(_ size: PictureSize, shortestEdge edge: Int) -> PictureSize {
    let (short, long) = size.width <= size.height ? (size.width, size.height) : (size.height, size.width)
    let newLong = Int(Double(edge * long) / Double(short))
    return size.width <= size.height
      ? PictureSize(height: newLong, width: edge) : PictureSize(height: edge, width: newLong)
  }
}

/// Height and width in pixels.
public struct PictureSize: Equatable, Sendable {
  public var height: Int
  public var width: Int

  public init(height: Int, width: Int) { (self.height, self.width) = (height, width) }
}

extension Picture {
  /// The picture on a ground of that size and colour; itself where it fills it.
  func placed(left: Int, top: Int, in size: PictureSize, on fill: [UInt8] = [0, 0, 0]) -> Picture {
    if width == size.width && height == size.height { return self }
    return Picture(width: size.width, height: size.height) { target in
      for pixel in 0..<size.width * size.height {
        for channel in 0..<3 { target[3 * pixel + channel] = fill[channel] }
      }
      pixels.withUnsafeBufferPointer { source in
        for row in 0..<height {
          (target.baseAddress! + 3 * ((top + row) * size.width + left))
            .update(from: source.baseAddress! + 3 * row * width, count: 3 * width)
        }
      }
    }
  }
}
