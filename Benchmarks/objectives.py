#!/usr/bin/env python3
"""Trains the demo towards several mixtures of objectives and prints the table of docs/objectives.md.

    Benchmarks/objectives.py [--mmdist mmdist] [--only NAME …] [--threads 2] [--steps 1000] [--seeds 0 …]

Accuracy is on the demo's held-out questions; shuffled: with the pictures exchanged.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile
from pathlib import Path

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--mmdist", default="mmdist"); a.add_argument("--only", nargs="*"); a.add_argument("--seeds", nargs="*", type=int, default=[0])
a.add_argument("--threads", type=int, default=2); a.add_argument("--steps", type=int, default=1000)
o = a.parse_args()
program = str(Path(shutil.which(o.mmdist) or o.mmdist).resolve())

all_three = ["train.objective.contrastive={weight: 0.1, temperature: 0.07}", "train.objective.embedding_mse={weight: 1}"]
two_rates = ["train.parts.vision={train: full, learning_rate: 2.0e-4}", "train.parts.projector.learning_rate=2.0e-4",
             "train.parts.language.learning_rate=5.0e-4"]
mixtures = {
    "cross-entropy": [],
    "with contrastive 0.1 and MSE 1": all_three,
    "with contrastive 1 and MSE 10": ["train.objective.contrastive={weight: 1}", "train.objective.embedding_mse={weight: 10}"],
    "with both, fading out": ["train.objective.contrastive={weight: 1 to 0 over 300}", "train.objective.embedding_mse={weight: 10 to 0 over 300}"],
    "with SigLIP 0.1": ["train.objective.siglip={weight: 0.1}"],
    "with image contrast 0.2": ["train.objective.image_contrast={weight: 0.2}"],
    "with text dropout 0.1": ["train.text_dropout=0.1"],
    "balanced": ["train.balance=norms"],
    "two rates, cross-entropy": two_rates,
    "two rates, all three": two_rates + all_three,
}

print("| objective | before | after | shuffled | step, s |\n|---|---|---|---|---|", flush=True)
for name, sets in mixtures.items():
    if o.only and name not in o.only: continue
    reports, seconds = [], []
    for seed in o.seeds:
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, OMP_NUM_THREADS=str(o.threads), MMDIST_CACHE=folder + "/cache")
            out = subprocess.run([program, "train", "--set", f"train.steps={o.steps}", f"train.seed={seed}", *sets], cwd=folder, env=environment,
                                 capture_output=True, text=True)
            if out.returncode: raise SystemExit(f"{name}: {out.stderr}")
            run = Path(folder, "mmdist-demo/run")
            reports.append(json.load(open(run / "demo-report.json")))
            seconds.append(statistics.median(json.loads(line)["seconds"] for line in open(run / "metrics.jsonl")))
    percent = lambda key: " ".join(f"{100 * report[key]:.1f}" for report in reports)
    print(f"| {name} | {percent('before')} | {percent('after')} | {percent('shuffled')} | {statistics.median(seconds):.3f} |", flush=True)
