/// One key of a section: its name, the property that holds it, and what it means. Its type and default are the property's.
struct Key<Owner: Sendable>: Sendable {
  let name: String
  /// One short sentence without line breaks; it is the documentation and the comment in the resolved file.
  let meaning: String
  /// Whether another value can change the trained weights; a resumed run reports what changed among these.
  let affectsTraining: Bool
  /// What other trainers call it, to be told to who types that.
  let otherNames: [String]
  let read: @Sendable (inout Owner, _ tree: YAMLTree, _ key: String) throws -> Void
  let written: @Sendable (Owner) -> Written
  let description: @Sendable (Owner) -> KeyDescription

  init<Value: RunFileValue>(
    _ name: String, _ property: WritableKeyPath<Owner, Value> & Sendable, _ meaning: String,
    affectsTraining: Bool = true, otherNames: [String] = []
  ) {
    self.init(
      name, property, as: { $0 }, back: { $0 }, meaning, affectsTraining: affectsTraining, otherNames: otherNames)
  }

  /// A key that holds a path.
  init(
    _ name: String, path property: WritableKeyPath<Owner, String> & Sendable, _ meaning: String,
    affectsTraining: Bool = true, otherNames: [String] = []
  ) {
    self.init(
      name, property, as: { RunPath(path: $0) }, back: \.path, meaning, affectsTraining: affectsTraining,
      otherNames: otherNames)
  }

  /// A key that holds a path or nothing.
  init(
    _ name: String, path property: WritableKeyPath<Owner, String?> & Sendable, _ meaning: String,
    affectsTraining: Bool = true, otherNames: [String] = []
  ) {
    self.init(
      name, property, as: { $0.map(RunPath.init) }, back: { $0?.path }, meaning, affectsTraining: affectsTraining,
      otherNames: otherNames)
  }

  /// A key whose property is read and written in the form `Form`.
  private init<Value, Form: RunFileValue>(
    _ name: String, _ property: WritableKeyPath<Owner, Value> & Sendable, as form: @escaping @Sendable (Value) -> Form,
    back value: @escaping @Sendable (Form) -> Value, _ meaning: String, affectsTraining: Bool, otherNames: [String]
  ) {
    self.name = name
    self.meaning = meaning
    self.affectsTraining = affectsTraining
    self.otherNames = otherNames
    read = { owner, tree, key in
      owner[keyPath: property] = value(try Form.reading(tree, at: key, over: form(owner[keyPath: property])))
    }
    written = { form($0[keyPath: property]).written }
    description = { owner in
      let example = form(owner[keyPath: property])
      return KeyDescription(
        name: name, wanted: Form.wanted, meaning: meaning, otherNames: otherNames, standard: example.written,
        innerKeys: Form.innerKeys(of: example))
    }
  }
}

/// What the documentation says of one key.
struct KeyDescription: Sendable {
  let name: String
  let wanted: String
  let meaning: String
  let otherNames: [String]
  /// The default.
  let standard: Written
  let innerKeys: [KeyDescription]
}
