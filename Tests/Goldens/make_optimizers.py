"""Writes Fixtures/optimizers: what torch, transformers and bitsandbytes make of the rules in docs/optimizers.md.

    python make_optimizers.py

updates.safetensors: twelve updates of three small tensors by each rule. training.json: twelve steps of a golden model, all of it trained.
The 8-bit rule is bitsandbytes' AdamW8bit on the processor, but for one function: its processor code finds codes by a table of equal steps, which
misses the nearest one by up to seven; the CUDA kernels and the library's own default implementation find the nearest, and that is used here.
"""
import json, math, os
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import bitsandbytes as bnb
import bitsandbytes.backends.cpu.ops as cpu_ops
import bitsandbytes.functional as bnb_functional
import numpy as np
import peft, torch, transformers
from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import save_file
from torch.optim.swa_utils import get_ema_multi_avg_fn
from transformers import get_cosine_schedule_with_warmup
from transformers.optimization import Adafactor

from make_goldens import FIXTURES, adapter_key, part_of
from reference import Reference, read_records, supervised, token_losses

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
FOLDER = FIXTURES / "optimizers"


def nearest(values, code, block):
    """bitsandbytes' default implementation of quantize_blockwise: the nearest code, the lower of two."""
    flat = torch.nn.functional.pad(values.reshape(-1).float(), (0, -values.numel() % block)).reshape(-1, block)
    scales = flat.abs().amax(1)
    scaled = (flat * (1 / scales.clamp(min=1e-38))[:, None]).clamp(-1, 1).reshape(-1)[: values.numel()]
    return torch.bucketize(scaled, (code[:-1] + code[1:]) / 2).to(torch.uint8).reshape(values.shape), scales


def requantise(values, code, scales, codes, block):
    new, top = nearest(values, code, block)
    codes.copy_(new), scales.copy_(top)


cpu_ops._quant_blockwise_fp32_direct = requantise


RULES = {  # name in the tests: (name in the run file, its keys there, how the reference is made from parameter groups)
    "adamw": ("adamw", {"betas": [0.9, 0.99]}, lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-8, foreach=False)),
    "adamw8bit": ("adamw8bit", {"betas": [0.9, 0.99]}, lambda groups: bnb.optim.AdamW8bit(groups, betas=(0.9, 0.99), eps=1e-8)),
    "adafactor": ("adafactor", {}, lambda groups: Adafactor(groups, relative_step=False, scale_parameter=False)),
    "adafactor_scaled": ("adafactor", {"scale_parameter": True, "momentum": 0.9, "clip_threshold": 0.5, "decay_rate": -0.7},
                         lambda groups: Adafactor(groups, relative_step=False, scale_parameter=True, beta1=0.9, clip_threshold=0.5, decay_rate=-0.7)),
    "sgd": ("sgd", {}, lambda groups: torch.optim.SGD(groups, foreach=False)),
    "sgd_momentum": ("sgd", {"momentum": 0.9}, lambda groups: torch.optim.SGD(groups, momentum=0.9, foreach=False)),
    "sgd_nesterov": ("sgd", {"momentum": 0.9, "nesterov": True}, lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True, foreach=False)),
    "lion": ("lion", {}, lambda groups: bnb.optim.Lion(groups, betas=(0.9, 0.99))),
}
RATE = {"adamw": 1e-2, "adamw8bit": 1e-2, "adafactor": 1e-2, "adafactor_scaled": 1e-1, "sgd": 0.5, "sgd_momentum": 0.1, "sgd_nesterov": 0.1, "lion": 1e-3}

# ------------------------------------------------------------------------------------------------------------------- updates of small tensors

SHAPES = {"matrix": (66, 70), "vector": (40,), "patches": (6, 3, 4, 5)}
UPDATES, DECAY, GRADIENT_SCALE = 12, 0.1, 0.5
MISSING = {("matrix", 5), ("vector", 6), ("vector", 7)}  # (tensor, step from 1): no gradient, so no update


def noise(count, seed):
    """Numbers in [-1, 1) that any language makes alike: a hash of i and the seed, with 24 bits."""
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + seed * 40503 + 12345) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    return ((x >> 8).astype(np.float64) - 2**23) / 2**23


def spread(count, seed):
    """The same over many orders of magnitude: divided by powers of two."""
    return (noise(count, seed) * 0.5 ** (np.arange(count) // 7 % 12)).astype(np.float32)


def tensor_of(name, seed):
    shape = SHAPES[name]
    return torch.from_numpy(spread(math.prod(shape), seed)).reshape(shape)


def make_updates():
    tensors = {"map.signed": bnb_functional.create_dynamic_map(signed=True), "map.unsigned": bnb_functional.create_dynamic_map(signed=False)}
    values = torch.from_numpy(spread(1100, 77))
    for name, x in (("signed", values), ("unsigned", values.square())):
        tensors[f"codes.{name}"], tensors[f"scales.{name}"] = nearest(x, tensors[f"map.{name}"], 256)
    for rule, (_, _, make) in RULES.items():
        weights = {name: torch.nn.Parameter(tensor_of(name, number)) for number, name in enumerate(SHAPES)}
        optimizer = make([{"params": [p], "lr": 1.0, "weight_decay": 0.0 if name == "vector" else DECAY} for name, p in weights.items()])
        for step in range(1, UPDATES + 1):
            for number, (name, p) in enumerate(weights.items()):
                optimizer.param_groups[number]["lr"] = RATE[rule] / step
                p.grad = None if (name, step) in MISSING else GRADIENT_SCALE * tensor_of(name, 100 * step + number)
            optimizer.step()
        for name, p in weights.items():
            tensors[f"{rule}.{name}"] = p.detach().clone()
            if rule == "adamw8bit" and name == "matrix":
                state = optimizer.state[p]
                tensors.update({f"{rule}.{key}": state[key].clone() for key in ("state1", "state2", "absmax1", "absmax2")})
                assert state["state1"].dtype == torch.uint8
    save_file(tensors, FOLDER / "updates.safetensors")


# -------------------------------------------------------------------------------------------------------------------------- training a model

PARTS = {"vision": 0.1, "projector": 1.0, "language": 0.5}  # rates, as parts of the rule's own
RUNS = {name: dict(rule=name) for name in RULES} | {"layer_decay": dict(rule="adamw", layer_decay=0.65), "ema": dict(rule="adamw", ema={"decay": 0.9})}
TRAINING_RATE = {"adamw": 1e-3, "adamw8bit": 1e-3, "adafactor": 1e-3, "adafactor_scaled": 2e-2, "sgd": 2e-2, "sgd_momentum": 5e-3, "sgd_nesterov": 5e-3, "lion": 2e-4}


def layer_factor(name, depths, decay):
    """BEiT's get_num_layer_for_vit, of each part for itself: decay^(number of layers + 1 − layer), embeddings 0, layers from 1, the rest at the top."""
    part = part_of(name)
    if part not in depths: return 1.0
    top = depths[part] + 1
    if ".layers." in name: layer = int(name.split(".layers.")[1].split(".")[0]) + 1
    elif "embeddings." in name or "embed_tokens" in name: layer = 0
    else: layer = top
    return decay ** (top - layer)


def train(reference, model, samples, setting, optimizer, trainable, after=lambda step: None):
    """Optimizer steps over the records in file order, cyclic; the figures of each."""
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(setting["warmup_ratio"] * setting["steps"]), setting["steps"])
    model.train()
    size, micro, lines = setting["global_batch"], setting["micro_batch"], []
    for step in range(1, setting["steps"] + 1):
        chosen = [samples[((step - 1) * size + offset) % len(samples)] for offset in range(size)]
        total, loss = sum(supervised(sample["labels"]) for sample in chosen), 0.0
        for start in range(0, size, micro):
            inputs, labels = reference.batch(chosen[start : start + micro])
            losses = token_losses(model(**inputs).logits, labels).sum()
            (losses / total).backward()
            loss += losses.item()
        norm = torch.nn.utils.clip_grad_norm_(list(trainable.values()), setting["clip_norm"], foreach=False).item()
        lines.append({"step": step, "loss": loss / total, "grad_norm": norm})
        optimizer.step(); schedule.step(); optimizer.zero_grad(set_to_none=True)
        with torch.no_grad(): after(step)
    return lines


def make_training():
    reference = Reference(FIXTURES / "llava-siglip-qwen2" / "model")
    samples = [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / "train.jsonl")]
    setting = {"steps": 12, "global_batch": 4, "micro_batch": 2, "warmup_ratio": 0.25, "clip_norm": 1.0}
    runs = {}
    for run, options in RUNS.items():
        name, keys, make = RULES[options["rule"]]
        model, _ = reference.model()
        trainable = dict(model.named_parameters())
        before = {key: p.detach().clone() for key, p in trainable.items()}
        average = {key: p.detach().clone() for key, p in trainable.items()}
        depths = {part: 1 + max(int(key.split(".layers.")[1].split(".")[0]) for key in trainable if part_of(key) == part and ".layers." in key) for part in ("vision", "language")}
        groups = []
        for key, p in trainable.items():
            spared = key.endswith("bias") or "Norm" in type(model.get_submodule(key.rpartition(".")[0])).__name__
            rate = TRAINING_RATE[options["rule"]] * PARTS[part_of(key)]
            groups.append({"params": [p], "lr": rate * layer_factor(key, depths, options.get("layer_decay", 1.0)), "weight_decay": 0.0 if spared else 0.01})
        optimizer = make(groups)
        def after(step):
            if "ema" in options: get_ema_multi_avg_fn(options["ema"]["decay"])(list(average.values()), list(trainable.values()), step)
        lines = train(reference, model, samples, setting, optimizer, trainable, after)
        moved = lambda values: {key: (p.detach() - before[key]).double().norm().item() for key, p in values.items()}
        runs[run] = {"optimizer": {"name": name, **keys}, "parts": {part: {"train": "full", "learning_rate": TRAINING_RATE[options["rule"]] * share, "weight_decay": 0.01} for part, share in PARTS.items()},
                     **{key: options[key] for key in ("layer_decay", "ema") if key in options}, "steps": lines, "change_norms": moved(trainable)}
        if "ema" in options: runs[run]["average_change_norms"] = moved(average)
        print(run, lines[0]["loss"], lines[-1]["loss"])
    runs["lora_plus"] = lora_plus(setting)
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft, bnb)}
    (FOLDER / "training.json").write_text(json.dumps({"versions": versions, "setting": setting, "runs": runs}, indent=1) + "\n")


def lora_plus(setting):
    """LoRA+ on GPT-2 by PEFT: matrices B learn 16 times as fast as A."""
    reference = Reference(FIXTURES / "gpt2" / "model")
    samples = [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / "text.jsonl")]
    model = PeftModel.from_pretrained(reference.model()[0], FIXTURES / "gpt2" / "adapter_init", is_trainable=True)
    row = {"train": "lora", "learning_rate": 2e-4, "weight_decay": 0.01, "lora_plus_ratio": 16}
    optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=row["learning_rate"], loraplus_lr_ratio=row["lora_plus_ratio"],
                                          loraplus_weight_decay=row["weight_decay"], betas=(0.9, 0.999), eps=1e-8, foreach=False)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    before = {key: p.detach().clone() for key, p in trainable.items()}
    lines = train(reference, model, samples, setting, optimizer, trainable)
    return {"model": "gpt2", "optimizer": {"name": "adamw"}, "parts": {"language": row}, "steps": lines,
            "change_norms": {adapter_key(key).removeprefix("base_model.model."): (p.detach() - before[key]).double().norm().item() for key, p in trainable.items()}}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_updates()
    make_training()
