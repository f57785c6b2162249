#!/usr/bin/env python3
"""Trains a small CLIP from random weights on pictures and captions of the demo's kind, and says what it learned.

    Benchmarks/clip.py FOLDER [--build .build/release] [--steps 1000] [--batch 128]

FOLDER gets pictures, a model with 64 × 64 pixels and width 128 in both towers, the run, and the reports. Retrieval is over
new pictures, one for each distinct caption; zero-shot classification is of colours and of shapes, each in words of its own.
Needs transformers and torch to draw the first weights.
"""
import argparse, json, os, shutil, subprocess
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("folder", type=Path); a.add_argument("--build", type=Path, default=Path(".build/release"))
a.add_argument("--steps", type=int, default=1000); a.add_argument("--batch", type=int, default=128)
o = a.parse_args()
fixture = Path(__file__).parent.parent / "Tests/Goldens/Fixtures/clip/model"
build = o.build.resolve()


def run(*words):
    subprocess.run([str(word) for word in words], check=True, cwd=o.folder, env=dict(os.environ, MMDIST_CACHE=str(o.folder / "cache")))


def pairs(folder, count, seed):
    """Pictures, each with a caption of four words in one of four orders."""
    if not folder.exists(): run(build / "demo-recipe", "captions", folder, count, seed)
    records = [json.loads(line) for line in open(folder / "captions.jsonl")]
    return [{"image": record["image"], "text": record["conversations"][1]["value"]} for record in records]


def write(name, records):
    (o.folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))


o.folder = o.folder.resolve()
o.folder.mkdir(parents=True, exist_ok=True)
write("train.jsonl", pairs(o.folder / "train", 8000, 1))
colours, shapes = ("red", "orange", "yellow", "green", "blue", "purple"), ("circle", "square", "triangle", "star")
new, seen = [], set()
for record in pairs(o.folder / "test", 2000, 2):
    words = sorted(record["text"].split())
    if tuple(words) in seen: continue
    seen.add(tuple(words))
    shape = next((shape for shape in shapes if any(word.startswith(shape) for word in words)), None)
    colour = next((colour for colour in colours if colour in words), None)
    new.append(record | {"colour": colour, "shape": shape})
write("test.jsonl", new)
for name, classes in (("colour", colours), ("shape", shapes)):
    (o.folder / f"{name}s.json").write_text(json.dumps({"classes": classes, "templates": ["{}", "one {} left", "one {} right"]}))

model = o.folder / "model"
model.mkdir(exist_ok=True)
shutil.copy(fixture / "tokenizer_config.json", model)
tokenizer = json.loads((fixture / "tokenizer.json").read_text())
vocabulary = tokenizer["model"]["vocab"]
missing = [letter + "</w>" for letter in vocabulary if len(letter) == 1 and letter + "</w>" not in vocabulary]
first = 1 + max(token["id"] for token in tokenizer["added_tokens"])
vocabulary.update({token: first + place for place, token in enumerate(missing)})
(model / "tokenizer.json").write_text(json.dumps(tokenizer))
processor = json.loads((fixture / "preprocessor_config.json").read_text())
processor["crop_size"], processor["size"] = {"height": 64, "width": 64}, {"shortest_edge": 64}
(model / "preprocessor_config.json").write_text(json.dumps(processor))
configuration = json.loads((fixture / "config.json").read_text())
configuration["projection_dim"] = 64
tower = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "projection_dim": 64}
configuration["text_config"] |= tower | {"vocab_size": first + len(missing)}
configuration["vision_config"] |= tower | {"image_size": 64, "patch_size": 8}
torch.manual_seed(0)
CLIPModel(CLIPConfig(**configuration)).save_pretrained(model)

full = "{train: full, learning_rate: 1.0e-3, weight_decay: 0.1}"
(o.folder / "run.yaml").write_text(f"""model: ./model
output: ./run
data: {{train: [{{path: train.jsonl, images: ./train/images}}], validation: [{{path: test.jsonl, images: ./test/images}}], max_length: 16}}
train:
  steps: {o.steps}
  global_batch: {o.batch}
  micro_batch: 32
  precision: float32
  parts: {{vision: {full}, language: {full}, projector: {full}}}
  schedule: {{name: cosine, warmup_ratio: 0.05}}
checkpoint: {{every: 0}}
log: {{every: 100, tensorboard: false}}
evaluate: {{probe: {{every: 0}}}}
""")
run(build / "mmdist", "train", "-c", "run.yaml")
checkpoint = sorted((o.folder / "run/checkpoints").iterdir())[-1]
print("| weights | pictures | image to text R@1 | R@5 | text to image R@1 | R@5 | colours, zero-shot | shapes, zero-shot |")
print("|---|---|---|---|---|---|---|---|")
for name, weights in (("random", []), (f"after {o.steps} steps", ["--checkpoint", checkpoint])):
    run(build / "mmdist", "eval", "-c", "run.yaml", *weights, "--data", "test.jsonl", "--images", "test/images", "--output", "report.json")
    found = json.load(open(o.folder / "report.json"))["metrics"]
    row = [found[key] for key in ("image_to_text_r1", "image_to_text_r5", "text_to_image_r1", "text_to_image_r5")]
    for label in ("colour", "shape"):
        entry = f"data.validation=[{{path: test.jsonl, images: ./test/images, label: {label}}}]"
        run(build / "mmdist", "eval", "-c", "run.yaml", *weights, "--set", entry, "--metrics", "zero_shot", "--classes", f"{label}s.json",
            "--output", "report.json")
        row.append(json.load(open(o.folder / "report.json"))["metrics"]["accuracy"])
    print(f"| {name} | {len(new)} | " + " | ".join(f"{figure:.3f}" for figure in row) + " |", flush=True)
