"""Writes what PEFT computes for the variants of LoRA on the tiny models that make_goldens.py made.

    python make_lora_family.py [CASE ...]    # into Fixtures/lora-family/CASE; no CASE: all of them

A case holds `golden.json` and the adapter that PEFT saved after twelve steps. Adapters start from numbers that a formula gives, so that
no file has to hold them: see `spread` and `start`. Every gradient of the first step is held by two figures, its norm and its product
with the same formula. Everything is float32, on one thread, with eager attention.
"""
import json, math, re, shutil, sys, tempfile
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

from make_goldens import FIXTURES, adapter_key, save_adapter, train, versions
from reference import Reference, read_records, token_losses

OUTPUT = FIXTURES / "lora-family"
STEPS = {"steps": 12, "global_batch": 4, "micro_batch": 2, "warmup_ratio": 0.25, "clip_norm": 1.0}
LANGUAGE = {"language": {"train": "lora", "learning_rate": 2e-3, "weight_decay": 0.01}}
BOTH = {"vision": {"train": "lora", "learning_rate": 1e-3, "weight_decay": 0.0}, **LANGUAGE}

CASES = {  # name: (model, parts, LoraConfig)
    "gpt2-patterns": ("gpt2", LANGUAGE, dict(
        r=4, lora_alpha=8, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True, task_type="CAUSAL_LM", use_rslora=True,
        rank_pattern={r".*h\.0\.attn\.c_attn": 6, r"attn\.c_attn": 3, "c_fc": 2}, alpha_pattern={"attn.c_proj": 5, "mlp.*": 3},
        exclude_modules=["h.0.mlp.c_proj"])),  # PEFT saves patterns in alphabetical order, whatever the order was
    "gpt2-dora": ("gpt2", LANGUAGE, dict(
        r=3, lora_alpha=6, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True, task_type="CAUSAL_LM", use_dora=True, bias="lora_only")),
    "llava-dora": ("llava-clip-llama", BOTH, dict(
        r=4, lora_alpha=8, target_modules=r".*vision_tower.*\.(q_proj|v_proj|fc1)|.*language_model.*\.(q_proj|k_proj|v_proj|down_proj)", use_dora=True, use_rslora=True, bias="lora_only",
        rank_pattern={r"model\.vision_tower\..*": 2, "down_proj": 3}, alpha_pattern={r"model\.vision_tower\..*": 3})),
    "llava-modules": ("llava-clip-llama", LANGUAGE, dict(
        r=2, lora_alpha=4, target_modules=["q_proj", "up_proj"], exclude_modules=r".*vision_tower.*", layers_to_transform=[1, 2], layers_pattern="layers",
        modules_to_save=["embed_tokens", "language_model.norm"])),
    "gpt2-biases": ("gpt2", LANGUAGE, dict(r=2, lora_alpha=4, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM", bias="all")),
    "gpt2-pissa": ("gpt2", LANGUAGE, dict(
        r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, task_type="CAUSAL_LM", init_lora_weights="pissa")),
}


def spread(index, shape):
    """Numbers in [-1, 1) that differ from tensor to tensor, the same in every language: the fractions of (i + 1)·φ + k·ψ, doubled and less 1."""
    count = math.prod(shape)
    numbers = np.arange(1, count + 1, dtype=np.float64) * 0.6180339887498949 + index * 0.7548776662466927
    return torch.from_numpy((np.fmod(numbers, 1.0) * 2 - 1).astype(np.float32)).reshape(shape)


def place(name):
    """What trained parameters are sorted by: their names in the adapter, without what PEFT puts between a layer and its bias."""
    return adapter_key(name).replace(".base_layer", "").removesuffix(".weight")


def trained(model):
    return sorted(((n, p) for n, p in model.named_parameters() if p.requires_grad), key=lambda pair: place(pair[0]))


def start(model):
    """A: spread / √inputs. B: 0.05 spread. Magnitudes: times 1 + 0.1 spread. Whatever else is trained: plus 0.02 spread."""
    for index, (name, parameter) in enumerate(trained(model)):
        noise = spread(index, parameter.shape)
        if "lora_A" in name: value = noise * np.float32(parameter.shape[1] ** -0.5)
        elif "lora_B" in name: value = noise * np.float32(0.05)
        elif "lora_magnitude_vector" in name: value = parameter.data * (1 + np.float32(0.1) * noise)
        else: value = parameter.data + np.float32(0.02) * noise
        parameter.data.copy_(value)


def nlls(model, reference, samples):
    model.eval()
    with torch.no_grad():
        return [token_losses(model(**inputs).logits, labels).double().sum().item() for inputs, labels in (reference.batch([s]) for s in samples)]


def make(name):
    model_name, parts, lora = CASES[name]
    folder = OUTPUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reference = Reference(FIXTURES / model_name / "model")
    records = "train.jsonl" if reference.sees else "text.jsonl"
    samples = [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / records)]
    setting = {**STEPS, "parts": parts}
    torch.manual_seed(11)
    bare, left = reference.model()
    assert not left
    model = get_peft_model(bare, LoraConfig(**lora))
    pissa = str(lora.get("init_lora_weights")).startswith("pissa")
    initial = {}
    if pissa:
        initial = {key: value.clone() for key, value in get_peft_model_state_dict(model).items()}
        beginning = Path(tempfile.mkdtemp()) / "initial"
        model.save_pretrained(beginning)
        config = json.loads((beginning / "adapter_config.json").read_text())
        (beginning / "adapter_config.json").write_text(json.dumps({**config, "init_lora_weights": True}))
    else:
        start(model)
    wanted = trained(model)
    counts, everything = model.get_nb_trainable_parameters()
    once = sum(p.numel() for n, p in model.named_parameters() if "original_module" not in n)
    gradients = {}
    lines, _ = train(reference, model, samples, setting, gradients, "")
    figures = {}
    for index, (key, parameter) in enumerate(wanted):
        gradient = gradients.get(adapter_key(key))
        if gradient is None: figures[place(key)] = None; continue
        double = gradient.double()
        figures[place(key)] = [double.norm().item(), (double * spread(index, gradient.shape).double()).sum().item()]
    after = nlls(model, reference, samples)
    if pissa:
        for own in model.peft_config.values(): own.base_model_name_or_path = "../model"
        model.save_pretrained(folder, path_initial_model_for_weight_conversion=str(beginning))
        config = json.loads((folder / "adapter_config.json").read_text())
        config["target_modules"].sort()
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
        (folder / "README.md").unlink(missing_ok=True)
        save_file({key: value.contiguous() for key, value in initial.items()}, folder / "initial.safetensors")
        again = PeftModel.from_pretrained(Reference(FIXTURES / model_name / "model").model()[0], folder)
    else:
        save_adapter(model, folder)
        again = PeftModel.from_pretrained(Reference(FIXTURES / model_name / "model").model()[0], folder)
    for mine, theirs in zip(after, nlls(again, reference, samples)): assert math.isclose(mine, theirs, rel_tol=2e-5), (mine, theirs)
    golden = {"versions": versions(), "model": model_name, "setting": setting, "lora": lora, "trainable_parameters": counts, "all_parameters": once,
              "wrapped": sorted({re.sub(r"^base_model\.model\.|\.lora_A.*$", "", adapter_key(n)) for n, _ in wanted if "lora_A" in n}),
              "gradients": figures, "steps": lines, "nll_after": after}
    with open(folder / "golden.json", "w", encoding="utf-8") as out: json.dump(golden, out, ensure_ascii=False, separators=(",", ":"))
    for path in folder.rglob("*.safetensors"): path.chmod(0o644)
    print(f"{name}: loss {lines[0]['loss']:.6f} to {lines[-1]['loss']:.6f}, {counts} trained, {sum(p.stat().st_size for p in folder.iterdir())} bytes")


def make_olora():
    """The product s·B·A that OLoRA starts from, of two layers."""
    folder = OUTPUT / "olora"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = get_peft_model(Reference(FIXTURES / "llava-clip-llama" / "model").model()[0], LoraConfig(
        r=3, lora_alpha=6, target_modules=r".*language_model.*layers\.0.*\.(q_proj|down_proj)", init_lora_weights="olora"))
    state = {key: value.contiguous() for key, value in get_peft_model_state_dict(model).items()}
    save_file(state, folder / "initial.safetensors")
    (folder / "initial.safetensors").chmod(0o644)
    print("olora:", list(state))


if __name__ == "__main__":
    torch.set_num_threads(1)
    names = sys.argv[1:]
    for case in names or CASES:
        if case in CASES: make(case)
    if not names or "olora" in names: make_olora()
