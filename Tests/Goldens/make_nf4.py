"""Writes what bitsandbytes makes of weights, and what PEFT trains over them: Fixtures/nf4/.

    python make_nf4.py

cases.safetensors   weights, their NF4 codes and magnitudes as bitsandbytes keeps them, and the values it gives back
model/              llava-clip-llama as transformers saves it after loading it in 4 bits (language model alone)
curve.json          twelve steps of PEFT over the dequantised weights of that model, from the adapter of llava-clip-llama
README.md describes them. bitsandbytes computes on the processor, on one thread.
"""
import json, os, shutil
from pathlib import Path

import torch
import bitsandbytes
import bitsandbytes.functional as F
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import BitsAndBytesConfig, LlavaForConditionalGeneration

from make_goldens import FIXTURES, train, versions
from reference import Reference, read_records

SOURCE, OUTPUT = FIXTURES / "llava-clip-llama", FIXTURES / "nf4"


def weights():
    """Shapes whose count is and is not a multiple of 64, of 16 384, of 2; ties, zeros, the very large and small."""
    draw = torch.Generator().manual_seed(5)
    normal = lambda *shape: torch.randn(*shape, generator=draw)
    yield "plain", 0.02 * normal(40, 72)
    yield "odd", normal(5, 13)
    yield "few", normal(3, 5)
    yield "bfloat16", normal(24, 64).bfloat16()
    yield "float16", (0.1 * normal(129, 128)).half()
    code = F.get_4bit_type("nf4", device="cpu")
    ties = ((code[1:] + code[:-1]) / 2)[torch.randint(0, 15, (4, 128), generator=draw)]
    ties[:, ::64] = 1.0
    yield "ties", ties
    zeros = normal(6, 64); zeros[1] = 0; zeros[2] = -0.0; zeros[4, 1:] = 0
    yield "zeros", zeros
    yield "zero", torch.zeros(3, 24)
    yield "wide", normal(8, 80) * 10.0 ** torch.randint(-30, 30, (8, 80), generator=draw)
    yield "small", normal(2, 96) * 1e-38


def values(codes, state, kept):
    """The values of codes, as one row: of rows that no multiple of 64 but one of 16 is wide, bitsandbytes 0.50 on AVX-512 takes
    the magnitudes of other blocks."""
    shape, state.dtype, state.shape = state.shape, kept, torch.Size((1, state.shape.numel()))
    found = F.dequantize_4bit(codes, state).reshape(shape)
    state.shape = shape
    return found


def cases():
    tensors = {}
    for name, weight in weights():
        tensors[f"{name}.weight"] = weight
        for kind, double in (("double", True), ("single", False)):
            codes, state = F.quantize_4bit(weight, blocksize=64, compress_statistics=double, quant_type="nf4")
            tensors[f"{name}.{kind}.weight"] = codes
            for key, value in state.as_dict(packed=True).items(): tensors[f"{name}.{kind}.weight.{key}"] = value
            for kept in (torch.float32, torch.bfloat16):
                if weight.numel() > 10_000 and (kept == torch.float32 or not double): continue  # for the size of the file
                tensors[f"{name}.{kind}.{str(kept)[6:]}"] = values(codes, state, kept)
    save_file({key: value.contiguous() for key, value in tensors.items()}, OUTPUT / "cases.safetensors")


def quantised_model():
    """Loads the model in 4 bits, language model alone, and saves it."""
    skip = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
    setting = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                 bnb_4bit_compute_dtype=torch.float32, llm_int8_skip_modules=skip)
    model = LlavaForConditionalGeneration.from_pretrained(
        SOURCE / "model", dtype=torch.float32, quantization_config=setting, device_map="cpu", attn_implementation="eager")
    model.save_pretrained(OUTPUT / "model")
    return model


def dequantised(reference):
    """The model in float32 with the values of the 4-bit one."""
    tensors, found = load_file(OUTPUT / "model" / "model.safetensors"), {}
    for key in tensors:
        if not key.endswith(".quant_state.bitsandbytes__nf4"): continue
        name = key.removesuffix(".quant_state.bitsandbytes__nf4")
        parts = {part: value for part, value in tensors.items() if part.startswith(name + ".")}
        state = F.QuantState.from_dict({part.removeprefix(name + "."): value for part, value in parts.items()}, torch.device("cpu"))
        found[name] = values(tensors[name], state, torch.float32)
    model, _ = reference.model()
    own = dict(model.named_parameters())
    names = {name: name if name in own else "model." + name.replace("language_model.model.", "language_model.") for name in found}
    for name, value in found.items():
        assert not torch.equal(own[names[name]], value)
        own[names[name]].data.copy_(value)
    return model, sorted(names.values())


def curve():
    reference = Reference(SOURCE / "model")
    samples = [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / "train.jsonl")]
    golden = json.loads((SOURCE / "golden.json").read_text())["lora"]
    base, names = dequantised(reference)
    model = PeftModel.from_pretrained(base, SOURCE / "adapter_init", is_trainable=True)
    lines, _ = train(reference, model, samples, golden["setting"])
    keys = ("step", "loss", "grad_norm", "supervised_tokens", "tokens", "images")
    figures = {"versions": {**versions(), "bitsandbytes": bitsandbytes.__version__}, "quantised": names, "setting": golden["setting"],
               "lora": golden["lora"], "steps": [{key: line[key] for key in keys} for line in lines]}
    (OUTPUT / "curve.json").write_text(json.dumps(figures, separators=(",", ":")))
    print(f"loss from {lines[0]['loss']:.4f} to {lines[-1]['loss']:.4f}; in float32 it was {golden['steps'][0]['loss']:.4f} to {golden['steps'][-1]['loss']:.4f}")


if __name__ == "__main__":
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    cases()
    quantised_model()
    curve()
    for path in OUTPUT.rglob("*.safetensors"): path.chmod(0o644)
    print(sum(path.stat().st_size for path in OUTPUT.rglob("*") if path.is_file()), "bytes")
