#!/usr/bin/env python3
"""Compares mmdist with transformers + PEFT on the same files, in turn, and prints the ratios.

    Benchmarks/compare_peer.py DIR --peer hf_llava.py --python VENV/bin/python [--mmdist mmdist] [--rounds 3] [--ranks 1]

DIR is what `hf_llava.py prepare` wrote. Each round runs the peer, then mmdist twice: as in a first epoch, every picture
through the vision encoder, and as in later ones, with the features of the frozen encoder at hand. A run's figure is the
median of its steps but the first; ratios are medians of each round's; that of a run of --epochs follows from them: one
epoch at the first figure, the others at the later one. Memory is counted twice: the peak of the largest process, and the
peak of all processes together by rank, where pages that several map count once (Pss, looked at five times a second). Prints
the row of a Markdown table: what | precision | ranks × threads | peer tokens/s | first epoch tokens/s | ratio | later epochs
tokens/s | ratio | ratio of the whole run | largest process, peer GiB | mmdist GiB | share | node by rank, peer GiB |
mmdist GiB | share.
"""
import argparse, contextlib, json, os, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("dir"); a.add_argument("--peer", required=True); a.add_argument("--python", required=True)
a.add_argument("--mmdist", default="mmdist"); a.add_argument("--rounds", type=int, default=3); a.add_argument("--ranks", type=int, default=1)
a.add_argument("--threads", type=int, default=2); a.add_argument("--dtype", default="float32"); a.add_argument("--steps", type=int, default=6)
a.add_argument("--epochs", type=int, default=3, help="of the run whose ratio is reckoned")
a.add_argument("--compile", action="store_true", help="the peer under torch.compile")
o = a.parse_args()
if not Path(o.dir, "mmdist.yaml").is_file(): sys.exit(f"compare_peer.py: no {o.dir}/mmdist.yaml: let hf_llava.py prepare write the folder")
environment = dict(os.environ, OMP_NUM_THREADS=str(o.threads))
if os.getuid() == 0: environment |= dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
batch = 2 // o.ranks

def memory(root):
    """Bytes in memory of a process and all that it began, shared pages once."""
    parents, sizes = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process that has just ended
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
    def belongs(process): return process == root or process in parents and belongs(parents[process])
    for process in filter(belongs, list(parents)):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            sizes[process] = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return sum(sizes.values()) * 1024

def run(command):
    """What a command writes, and the most memory that it had, by rank, in GiB."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process, most = subprocess.Popen(command, env=environment, stdout=out, stderr=errors), 0
        while process.poll() is None:
            most = max(most, memory(process.pid))
            time.sleep(0.2)
        out.seek(0); errors.seek(0)
        if process.returncode: sys.exit(f"compare_peer.py: exit {process.returncode}: {' '.join(command)}\n{errors.read()[-2000:]}")
        return out.read(), most / 2**30 / o.ranks

def peer():
    command = [o.python, o.peer] if o.ranks == 1 else [str(Path(o.python).with_name("torchrun")), "--nproc-per-node", str(o.ranks), o.peer]
    command += ["train", o.dir, "--dtype", o.dtype, "--threads", str(o.threads), "--batch", str(batch), "--steps", str(o.steps)]
    if o.compile: command += ["--compile"]
    out, together = run(command)
    line = json.loads([x for x in out.splitlines() if x.startswith("{")][-1])
    return line["tokens_per_s"], line["peak_rss_gib"], together

def mmdist(features):
    folder = Path(tempfile.mkdtemp(dir=o.dir))
    command = [o.mmdist, "train", "-c", f"{o.dir}/mmdist.yaml", "--set", f"output={folder}/run", "--set", f"train.precision={o.dtype}",
               "--set", f"train.micro_batch={batch}", "--set", f"train.steps={o.steps}",
               "--set", f"cache.features={features}", "--set", f"cache.folder={cache}"]
    if o.ranks > 1: command = ["mpirun", "-q", "--bind-to", "none", "-n", str(o.ranks)] + command
    _, together = run(command)
    lines = [json.loads(x) for x in open(folder / "run/metrics.jsonl")]
    shutil.rmtree(folder)
    speeds = [x["tokens_per_second"] for x in lines[1:]]
    return statistics.median(speeds), lines[-1]["peak_memory_bytes"] / 2**30, together

rows = []
with tempfile.TemporaryDirectory(dir=o.dir) as cache:
    mmdist("disk")  # fills the caches: of features, and of converted weights
    for _ in range(o.rounds): rows.append((peer(), mmdist("off"), mmdist("disk")))
theirs, first, later = [statistics.median(r[i][0] for r in rows) for i in range(3)]
ratios = [statistics.median(r[i][0] / r[0][0] for r in rows) for i in (1, 2)]
whole = statistics.median(o.epochs / (r[0][0] / r[1][0] + (o.epochs - 1) * r[0][0] / r[2][0]) for r in rows)
sizes = [[max(r[i][kind] for r in rows) for i in (0, 1)] for kind in (1, 2)]
print(f"| {Path(o.dir).name} | {o.dtype} | {o.ranks} × {o.threads}{' compile' if o.compile else ''} | {theirs:.0f} | {first:.0f} | {ratios[0]:.2f}× "
      f"| {later:.0f} | {ratios[1]:.2f}× | {whole:.2f}× | " + " | ".join(f"{a:.2f} | {b:.2f} | {b / a:.2f}" for a, b in sizes) + " |")
