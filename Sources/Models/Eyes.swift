import Modules
import Tensors

extension MultimodalModel {
  /// Turns pictures into rows of the language model's width, or into vectors of the space that they share with texts.
  public final class Eyes {
    /// What of the vision encoder the features of a picture are.
    enum Reading {
      /// The states of its patches after layers of these numbers, joined along the width; without the first row where
      /// that is dropped: the class token, or in SigLIP, which has none, the first patch, as transformers does it.
      case patches(depths: [Int], dropsFirstRow: Bool)
      /// One vector for the whole picture.
      case whole
    }

    /// What makes rows of the language model, or of the space that pictures and texts share, of features.
    enum Projector {
      case feedForward(FeedForward)
      case linear(any LinearLayer)
      /// Features are those rows.
      case none
    }

    let tower: VisionTransformer
    let projector: Projector
    let reading: Reading
    /// The id that stands for each row of a picture in the text; nil where texts have no pictures in them.
    public let imageTokenID: Int?
    /// Of the vision encoder, with whatever transforms added to it.
    public let parameters: [Parameter]

    init(
      tower: VisionTransformer, parameters: [Parameter], projector: Projector, reading: Reading = .whole,
      imageTokenID: Int? = nil
    ) {
      self.tower = tower
      self.parameters = parameters
      self.projector = projector
      self.reading = reading
      self.imageTokenID = imageTokenID
    }

    /// Numbers of the layers that features are taken after; none for one vector of the whole picture.
    var depths: [Int] { if case .patches(let depths, _) = reading { depths } else { [] } }
    var dropsFirstRow: Bool { if case .patches(_, let drops) = reading { drops } else { false } }

    /// How many rows a picture becomes.
    public var rowsPerImage: Int {
      depths.isEmpty ? 1 : tower.configuration.tokens - (dropsFirstRow ? 1 : 0)
    }
    /// The height and width of the pixels that go in.
    public var imageSize: Int { tower.configuration.imageSize }
    /// The side of a patch, in pixels, and how many patches there are along each side; their rows come last.
    public var patchSize: Int { tower.configuration.patchSize }
    public var patchesPerSide: Int { imageSize / patchSize }

    /// pixels [n, 3, S, S] → [n·rowsPerImage, featureWidth]
    ///
    /// What is kept of a picture must not depend on its neighbours in a batch: where the rounding of products depends
    /// on how many rows they have, constant features are made one picture at a time.
    public func features(_ pixels: Tensor, _ context: Context) -> Tensor {
      guard hasConstantFeatures, !context.backend.computesRowsApart else { return look(at: pixels, context) }
      let backend = context.backend
      let all = backend.empty([pixels.shape[0] * rowsPerImage, featureWidth], .float32)
      for picture in 0..<pixels.shape[0] {
        let own = look(at: pixels.slice(picture..<picture + 1), Context(backend))
        let rows = all.slice(picture * rowsPerImage..<(picture + 1) * rowsPerImage)
        backend.withBytes(of: own) { backend.overwrite(rows, with: $0) }
      }
      return all
    }

    private func look(at pixels: Tensor, _ context: Context) -> Tensor {
      guard !depths.isEmpty else { return tower.pooled(pixels, context) }
      let tokens = tower.configuration.tokens
      let joined = context.joinColumns(tower.hiddenStates(pixels, depths: depths, context))
      guard dropsFirstRow else { return joined }
      let kept = (0..<joined.rows).filter { $0 % tokens != 0 }.map(Int32.init)
      return context.gatherRows(joined, context.backend.tensor(kept))
    }

    /// features → [n·rowsPerImage, width of the language model or of the shared space]
    public func project(_ features: Tensor, _ context: Context) -> Tensor {
      switch projector {
      case .feedForward(let layers): layers(features, context)
      case .linear(let layer): layer(features, context)
      case .none: features
      }
    }
  }
}
