#!/usr/bin/env python3
"""Trains the demo by each method, measures a step of a larger model by each, and prints the table of docs/methods.md.

    Benchmarks/methods.py [--mmdist mmdist] [--model DIR] [--only NAME …] [--threads 2]

DIR is a folder with a run file `mmdist.yaml` of a model of real dimensions (compare_peer.py says how one is made); its
steps give time and memory, in both precisions' default bfloat16. Without it these columns are those of the demo.
Accuracy is on the demo's held-out questions, after the demo's 1000 steps; shuffled: with the pictures exchanged.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile
from pathlib import Path

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--mmdist", default="mmdist"); a.add_argument("--model"); a.add_argument("--only", nargs="*")
a.add_argument("--threads", type=int, default=2); a.add_argument("--steps", type=int, default=6)
o = a.parse_args()
environment = dict(os.environ, OMP_NUM_THREADS=str(o.threads))
program = str(Path(shutil.which(o.mmdist) or o.mmdist).resolve())

# What is said of the language part; the projector, untrained in the demo, is always trained whole.
methods = {
    "projector only": "{train: frozen}",
    "full": "{train: full, learning_rate: 1.0e-3}",
    "LoRA": "{train: lora, learning_rate: 2.0e-3, rank: 16, alpha: 32, dropout: 0.0}",
    "QLoRA": "{train: qlora, learning_rate: 2.0e-3, rank: 16, alpha: 32, dropout: 0.0}",
    "DoRA": "{train: lora, dora: true, learning_rate: 2.0e-3, rank: 16, alpha: 32, dropout: 0.0}",
    "adapters, Houlsby": "{train: adapter, kind: houlsby, reduction: 4, learning_rate: 2.0e-3}",
    "adapters, Pfeiffer": "{train: adapter, kind: pfeiffer, reduction: 4, learning_rate: 2.0e-3}",
    "prefix": "{train: prefix, tokens: 20, learning_rate: 1.0e-2}",
    "prompt": "{train: prompt, tokens: 20, learning_rate: 3.0e-2}",
}

def train(folder, arguments):
    out = subprocess.run([program, "train"] + arguments, cwd=folder, env=environment, capture_output=True, text=True)
    if out.returncode: raise SystemExit(f"{arguments}: {out.stderr}")
    line = [x for x in out.stdout.splitlines() if x.startswith("trainable params:")][-1]
    return line.split("trainable%: ")[1]

def steps(path):
    lines = [json.loads(x) for x in open(path)]
    return statistics.median(x["seconds"] for x in lines[1:]), lines[-1]["peak_memory_bytes"] / 2**20

print("| method | trained, % (demo) | before | after | shuffled | trained, % | step, s | memory, MiB |\n|---|---|---|---|---|---|---|---|")
with tempfile.TemporaryDirectory() as cache:
    environment["MMDIST_CACHE"] = cache
    for name, row in methods.items():
        if o.only and name not in o.only: continue
        with tempfile.TemporaryDirectory() as folder:
            language = f"train.parts.language={row}"
            share = train(folder, ["--set", language])
            demo = Path(folder, "mmdist-demo/run")
            report = json.load(open(demo / "demo-report.json"))
            large, (seconds, memory) = share, steps(demo / "metrics.jsonl")
            if o.model:
                large = train(folder, ["-c", f"{Path(o.model).resolve()}/mmdist.yaml", "--set", f"output={folder}/run", language,
                                       f"train.steps={o.steps}", "train.precision=bfloat16", "cache.features=off"])
                seconds, memory = steps(Path(folder, "run/metrics.jsonl"))
        percent = lambda key: f"{100 * report[key]:.1f} %"
        print(f"| {name} | {share} | {percent('before')} | {percent('after')} | {percent('shuffled')} | {large} | {seconds:.2f} | {memory:.0f} |", flush=True)
