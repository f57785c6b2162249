"""Writes the fixtures with the reference implementation (pip install safetensors==0.8.0)."""

import ctypes
import math
import pathlib

import safetensors

HERE = pathlib.Path(__file__).parent
DTYPES = {
    "F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2), "F64": ("float64", 8), "I64": ("int64", 8),
    "I32": ("int32", 4), "I16": ("int16", 2), "I8": ("int8", 1), "U8": ("uint8", 1), "BOOL": ("bool", 1),
}


def write(file, tensors, metadata=None):
    """Each tensor is (name, dtype, shape, start); byte i of its values is (start + 7 i) mod 251."""
    buffers, specs = [], {}
    for name, dtype, shape, start in tensors:
        long_name, width = DTYPES[dtype]
        data = bytes((start + 7 * i) % 251 for i in range(width * math.prod(shape)))
        buffers.append(ctypes.create_string_buffer(data, max(len(data), 1)))
        specs[name] = safetensors.TensorSpec(
            dtype=long_name, shape=shape, data_ptr=ctypes.addressof(buffers[-1]), data_len=len(data))
    (HERE / file).write_bytes(safetensors.serialize(specs, metadata))


write("all_dtypes.safetensors", [
    (f"{dtype.lower()}.{kind}", dtype, shape, start)
    for start, dtype in enumerate(DTYPES)
    for kind, shape in (("matrix", [3, 5]), ("scalar", []), ("empty", [0, 4]))
])
write("names.safetensors", [
    ("plain", "F32", [2], 1),
    ('quote " and \\ and /', "F32", [1], 2),
    ("tab\t line\n bell\x07 unit\x1f delete\x7f", "U8", [3], 3),
    ("umläut 漢字 🙂", "I16", [1, 1, 1], 4),
], {"format": "pt"})
write("nothing.safetensors", [])
