#!/usr/bin/env python3
"""Compares how fast mmdist and the Python libraries feed a model: pictures against Pillow, text against HF tokenizers.

    VENV/bin/python Benchmarks/feeding.py [--bench .build/release/feeding-bench] [--rounds 5] [--tokenizer tokenizer.json ...]

Needs Python with pillow, numpy and tokenizers, and `swift build -c release --product feeding-bench`. All on one thread; a
figure is the least processor time of all repeats, theirs and ours in turn, so that it holds on a busy machine too.

- A JPEG of 4000 × 3000 pixels (quality 90, 4:2:0), made on the spot: decoded, and decoded and resized to 224 and to 336
  (bicubic). Both must come to the same sum of bytes. Pillow's reducing decoder (`draft`) is not used: its result differs.
- Text of about 1 MB, made on the spot of words, numbers, marks and some lines that are not English, line by line with each
  tokenizer file (without --tokenizer: those of the tests). Both must come to the same ids.

Prints a Markdown table; leaves nothing behind.
"""
import argparse, contextlib, os, random, subprocess, sys, tempfile, time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"], os.environ["RAYON_NUM_THREADS"] = "false", "1"
import numpy as np
from PIL import Image, __version__ as pillow_version
from tokenizers import Tokenizer, __version__ as tokenizers_version

here = Path(__file__).resolve().parent
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--bench", default=str(here.parent / ".build/release/feeding-bench")); p.add_argument("--rounds", type=int, default=5)
p.add_argument("--tokenizer", action="append")
o = p.parse_args()
if not Path(o.bench).exists(): sys.exit(f"feeding.py: no {o.bench}: swift build -c release --product feeding-bench")
tests = here.parent / "Tests/TokenizersTests/Fixtures"
files = o.tokenizer or [str(tests / f"{name}.tokenizer.json") for name in ("gpt2", "llama3", "qwen2", "llama2")]


def make_picture(path):
    """Something like a photograph: smooth areas, edges and grain."""
    generator = np.random.default_rng(1)
    smooth = Image.fromarray(generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((4000, 3000), Image.BICUBIC)
    grain = generator.integers(-12, 13, (3000, 4000, 1), dtype=np.int16)
    edges = np.kron(generator.integers(-30, 31, (150, 200, 1), dtype=np.int16), np.ones((20, 20, 1), dtype=np.int16))
    Image.fromarray(np.clip(np.asarray(smooth, dtype=np.int16) + grain + edges, 0, 255).astype(np.uint8)).save(path, quality=90, subsampling=2)


def make_text(path):
    dice = random.Random(1)
    syllables = [a + b + c for a in ("b", "d", "f", "k", "l", "m", "p", "r", "s", "st", "tr", "th") for b in "aeiou" for c in ("", "n", "r", "s", "ng")]
    words = ["the", "of", "and", "a", "in", "is", "picture", "what", "image", "this", "that", "shows"] + ["".join(dice.choices(syllables, k=dice.randint(1, 4))) for _ in range(8000)]
    weights = [8000 / (rank + 1) for rank in range(len(words))]
    lines, size = [], 0
    while size < 1_000_000:
        line = " ".join(word + dice.choice(["", "", "", "", "", ",", ".", "?", "'s", f" {dice.randint(0, 9999)}"]) for word in dice.choices(words, weights, k=dice.randint(5, 80)))
        if dice.random() < 0.1: line += " ¿Qué ves? Überall Größe, 何が見えますか 長い線 🙂"
        lines.append(line); size += len(line.encode()) + 1
    Path(path).write_text("\n".join(lines), encoding="utf-8")


def ours(*arguments):
    seconds, result = subprocess.run([o.bench, *map(str, arguments), "1"], check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), int(result)


def theirs(work):
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def compare(name, arguments, work, summed):
    """One row: the least seconds of both. A process more of ours is one repeat: nothing is warmed up for it alone."""
    work()
    rows = [(theirs(work), ours(*arguments)) for _ in range(o.rounds)]
    if summed(rows[0][0][1]) != rows[0][1][1]: sys.exit(f"feeding.py: {name}: the results differ: {summed(rows[0][0][1])} and {rows[0][1][1]}")
    them, us = (min(row[side][0] for row in rows) for side in (0, 1))
    print(f"| {name} | {them * 1e3:.1f} | {us * 1e3:.1f} | {them / us:.2f}× |", flush=True)


def decoded(path, size=None):
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
        return picture.resize((size, size), Image.BICUBIC) if size else picture


def weighted(encodings):
    ids = [token for encoding in encodings for token in encoding.ids]
    return sum((place + 1) % 1000 * token for place, token in enumerate(ids))


with tempfile.TemporaryDirectory() as folder:
    picture, text = folder + "/picture.jpg", folder + "/text.txt"
    make_picture(picture); make_text(text)
    lines = [line for line in Path(text).read_text(encoding="utf-8").split("\n") if line]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; Pillow {pillow_version}, tokenizers {tokenizers_version}; "
          f"{os.path.getsize(picture) / 1e6:.1f} MB of JPEG, {os.path.getsize(text) / 1e6:.1f} MB of text", file=sys.stderr)
    print("| work | Python, ms | mmdist, ms | ratio |\n|---|---|---|---|")
    total = lambda image: int(np.asarray(image).sum(dtype=np.int64))
    compare("JPEG, decoded", ("decode", picture), lambda: decoded(picture), total)
    for size in (224, 336): compare(f"JPEG, decoded and resized to {size}", ("resize", picture, size), lambda: decoded(picture, size), total)
    for file in files:
        tokenizer = Tokenizer.from_file(file)
        compare(f"text, {Path(file).name.removesuffix('.json').removesuffix('.tokenizer')}", ("tokens", file, text), lambda: tokenizer.encode_batch(lines), weighted)
