#!/usr/bin/env python3
"""What looks at the pictures' use, norms by objective, TensorBoard and the page of a run add to the demo's training.

    Benchmarks/overhead.py [--mmdist mmdist] [--steps 400] [--rounds 3]

Runs the demo's run file with default settings and with all of that switched off, in turn, on one thread, and compares the
processor time, which other work on the machine hardly moves. The losses of both are checked to be the same bits.
"""
import argparse, json, os, resource, shutil, statistics, subprocess, tempfile
from pathlib import Path

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--mmdist", default="mmdist"); a.add_argument("--steps", type=int, default=400); a.add_argument("--rounds", type=int, default=3)
o = a.parse_args()
program = str(Path(shutil.which(o.mmdist) or o.mmdist).resolve())
environment = dict(os.environ, OMP_NUM_THREADS="1")
off = ["--set", "evaluate.probe.every=0", "--set", "log.objective_norms_every=0", "--set", "log.tensorboard=false"]


def processor_seconds(folder, words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, *words], cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary, "demo")
    environment["MMDIST_CACHE"] = temporary + "/cache"
    subprocess.run([program, "init", str(folder)], check=True, capture_output=True)
    settings = ["-c", "mmdist.yaml", "--resume", "never", "--set", f"train.steps={o.steps}", "--set", "cache.features=memory"]
    mixture = ["--set", "train.objective.contrastive={weight: 0.1}", "--set", "train.objective.embedding_mse={weight: 1}"]
    for name, objective in (("cross-entropy", []), ("three objectives", mixture)):
        ratios, pages = [], []
        for _ in range(o.rounds):
            plain = processor_seconds(folder, ["train", *settings, *objective, *off])
            losses = [json.loads(line)["loss"] for line in open(folder / "run/metrics.jsonl")]
            whole = processor_seconds(folder, ["train", *settings, *objective])
            assert losses == [json.loads(line)["loss"] for line in open(folder / "run/metrics.jsonl")]
            page = processor_seconds(folder, ["report", "run", "--output", "page.html"])
            ratios.append(100 * (whole / plain - 1)); pages.append(page / plain * 100)
            print(f"{name}: {plain:.1f} s without, {whole:.1f} s with, page {page:.2f} s", flush=True)
        print(f"| {name} | {o.steps} | {statistics.median(ratios):.1f} % | {statistics.median(pages):.1f} % |", flush=True)
