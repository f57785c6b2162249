import EventFiles

extension EventFileWriter {
  func add(_ report: StepReport) throws {
    var scalars: [(tag: String, value: Float)] = [
      ("loss", Float(report.loss)), ("grad_norm", Float(report.gradientNorm)),
      ("seconds", Float(report.seconds)),
    ]
    if let speed = report.tokensPerSecond { scalars.append(("tokens_per_second", Float(speed))) }
    for (name, value) in report.losses { scalars.append(("losses/\(name)", Float(value))) }
    for (part, value) in report.gradientNorms { scalars.append(("grad_norms/\(part)", Float(value))) }
    for (name, value) in report.learned { scalars.append(("learned/\(name)", Float(value))) }
    for (name, parts) in report.objectiveNorms {
      for (part, value) in parts { scalars.append(("objective_grad_norms/\(name)/\(part)", Float(value))) }
    }
    for (part, value) in report.updateSizes { scalars.append(("update_sizes/\(part)", Float(value))) }
    for (part, value) in report.learningRates { scalars.append(("learning_rates/\(part)", Float(value))) }
    for (name, value) in report.evaluation ?? [:] { scalars.append(("evaluation/\(name)", Float(value))) }
    if let use = report.imageUse {
      scalars += [
        ("image_use/right", Float(use.right)), ("image_use/shuffled", Float(use.shuffled)),
        ("image_use/gain", Float(use.gain)),
      ]
    }
    try self.scalars(step: report.step, scalars)
  }
}
