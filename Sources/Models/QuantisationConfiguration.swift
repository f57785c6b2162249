import Ground

extension ConfigurationReader {
  /// Reads `quantization_config`, which must describe 4-bit codes that this program can read; which weights they are of,
  /// the files tell.
  /// - Throws: `Fault(.badConfiguration)` for another method than bitsandbytes' NF4.
  func readQuantisation() throws {
    guard raw("quantization_config") != nil else { return }
    let setting = try nested("quantization_config")
    try setting.require("load_in_8bit", in: false)
    // What is left out means something else in transformers: no quantisation at all, or FP4.
    for (key, wanted) in [
      ("quant_method", JSON.string("bitsandbytes")), ("load_in_4bit", true), ("bnb_4bit_quant_type", "nf4"),
    ] {
      guard let found = setting.raw(key), found == wanted else {
        throw setting.unsupported(key, setting.raw(key) ?? .null, supported: wanted.description)
      }
    }
    setting.ignore(
      "_load_in_4bit", "_load_in_8bit", "bnb_4bit_compute_dtype", "bnb_4bit_quant_storage",
      "bnb_4bit_use_double_quant", "llm_int8_enable_fp32_cpu_offload", "llm_int8_has_fp16_weight",
      "llm_int8_skip_modules", "llm_int8_threshold")
    try setting.finish()
  }
}
