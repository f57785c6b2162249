#!/usr/bin/env python3
"""Compares mmdist with transformers + PEFT on the same files, in turn, and prints the ratios.

    Benchmarks/compare_peer.py DIR --peer hf_llava.py --python VENV/bin/python [--mmdist mmdist] [--rounds 3] [--ranks 1]

DIR is what `hf_llava.py prepare` wrote. Each round runs the peer, then mmdist twice: as in a first epoch, every picture
through the vision encoder, and as in later ones, with the features of the frozen encoder at hand. A run's figure is the
median of its steps but the first; ratios are medians of each round's. Peak memory is that of the largest process.
Prints the row of a Markdown table: what | precision | ranks × threads | peer tokens/s | first epoch tokens/s | ratio |
later epochs tokens/s | ratio | peer GiB | mmdist GiB | share.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile
from pathlib import Path

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("dir"); a.add_argument("--peer", required=True); a.add_argument("--python", required=True)
a.add_argument("--mmdist", default="mmdist"); a.add_argument("--rounds", type=int, default=3); a.add_argument("--ranks", type=int, default=1)
a.add_argument("--threads", type=int, default=2); a.add_argument("--dtype", default="float32"); a.add_argument("--steps", type=int, default=6)
a.add_argument("--compile", action="store_true", help="the peer under torch.compile")
o = a.parse_args()
environment = dict(os.environ, OMP_NUM_THREADS=str(o.threads))
if os.getuid() == 0: environment |= dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
batch = 2 // o.ranks

def peer():
    command = [o.python, o.peer] if o.ranks == 1 else [str(Path(o.python).with_name("torchrun")), "--nproc-per-node", str(o.ranks), o.peer]
    command += ["train", o.dir, "--dtype", o.dtype, "--threads", str(o.threads), "--batch", str(batch), "--steps", str(o.steps)]
    if o.compile: command += ["--compile"]
    out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    line = json.loads([x for x in out.splitlines() if x.startswith("{")][-1])
    return line["tokens_per_s"], line["peak_rss_gib"]

def mmdist(features):
    folder = Path(tempfile.mkdtemp(dir=o.dir))
    command = [o.mmdist, "train", "-c", f"{o.dir}/mmdist.yaml", "--set", f"output={folder}/run", "--set", f"train.precision={o.dtype}",
               "--set", f"train.micro_batch={batch}", "--set", f"train.steps={o.steps}",
               "--set", f"cache.features={features}", "--set", f"cache.folder={cache}"]
    if o.ranks > 1: command = ["mpirun", "-q", "--bind-to", "none", "-n", str(o.ranks)] + command
    subprocess.run(command, env=environment, check=True, capture_output=True)
    lines = [json.loads(x) for x in open(folder / "run/metrics.jsonl")]
    shutil.rmtree(folder)
    speeds = [x["tokens_per_second"] for x in lines[1:]]
    return statistics.median(speeds), lines[-1]["peak_memory_bytes"] / 2**30

rows = []
with tempfile.TemporaryDirectory(dir=o.dir) as cache:
    mmdist("disk")  # fills the caches: of features, and of converted weights
    for _ in range(o.rounds): rows.append((peer(), mmdist("off"), mmdist("disk")))
theirs, first, later = [statistics.median(r[i][0] for r in rows) for i in range(3)]
ratios = [statistics.median(r[i][0] / r[0][0] for r in rows) for i in (1, 2)]
memory = [max(r[i][1] for r in rows) for i in (0, 1)]
print(f"| {Path(o.dir).name} | {o.dtype} | {o.ranks} × {o.threads}{' compile' if o.compile else ''} | {theirs:.0f} | {first:.0f} | {ratios[0]:.2f}× "
      f"| {later:.0f} | {ratios[1]:.2f}× | {memory[0]:.2f} | {memory[1]:.2f} | {memory[1] / memory[0]:.2f} |")
