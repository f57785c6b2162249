#!/usr/bin/env python3
"""Measures what data parallelism costs: how much of the all-reduce a step waits for, and weak scaling.

    Benchmarks/communication.py RUN.yaml [--mmdist mmdist] [--set key=value ...] [--steps 8] [--rounds 3] [--json FILE]
                                [--lab CLUSTER_LAB [--rate 1gbit]]

In turn, `--rounds` times: 1 rank with a global batch of 1; 2 ranks of this machine with one of 2; with --lab, 2 ranks on
two hosts that are joined at --rate; each with pictures that the encoder has not seen (first epoch) and with all their
features kept (later epochs), where the run file freezes the encoder. Every rank has one thread and every micro-batch one
sample, so a rank always does the same work. A run's figures are medians over its steps but the first:

    exposed       communication.exposed_s / seconds: gradients that were still on their way when the backward pass was done
    network       the same without communication.skew_s, the wait for the other rank: what the rank waited that waited least
    weak scaling  seconds of 1 rank / seconds of 2 ranks, run by run, since what else runs on a machine changes with time

and the table has the median over the rounds, with the least and the most. Two idle cores are needed: the load is printed.

CLUSTER_LAB is a folder with netns-hosts.sh (`up N`, `rate HOST RATE`, `exec HOST COMMAND`, `down`: hosts made of network
namespaces; needs root) and mpienv.sh, which sets $NETMCA, mpirun's options for them. The hosts are taken down again.
Nothing is kept but FILE. A run that takes longer than --limit seconds is ended, with all of its processes.
"""
import argparse, contextlib, json, os, shlex, shutil, signal, statistics, subprocess, sys, tempfile
from pathlib import Path

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("run"); p.add_argument("--mmdist", default="mmdist"); p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
p.add_argument("--steps", type=int, default=8); p.add_argument("--rounds", type=int, default=3); p.add_argument("--limit", type=int, default=300)
p.add_argument("--lab"); p.add_argument("--rate", default="1gbit"); p.add_argument("--json")
o = p.parse_args()
if o.steps < 3: sys.exit("communication.py: --steps: at least 3 are needed, the first of which does not count")
program = shutil.which(o.mmdist) or sys.exit(f"communication.py: no program '{o.mmdist}': build it, or say --mmdist PATH")
environment = dict(os.environ, OMP_NUM_THREADS="1")
if os.getuid() == 0: environment |= dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def call(command, limit, **options):
    """Runs a command in a session of its own; when it takes too long, everything in that session ends with it."""
    process = subprocess.Popen(command, env=environment, start_new_session=True, text=True, **options)
    try:
        out, _ = process.communicate(timeout=limit)
    except BaseException as reason:
        with contextlib.suppress(ProcessLookupError): os.killpg(process.pid, signal.SIGTERM)
        try: process.communicate(timeout=10)
        except subprocess.TimeoutExpired: os.killpg(process.pid, signal.SIGKILL)
        if isinstance(reason, subprocess.TimeoutExpired): sys.exit(f"communication.py: over {limit} s: {shlex.join(command)}")
        raise
    if process.returncode: sys.exit(f"communication.py: exit {process.returncode}: {shlex.join(command)}\n{out or ''}")
    return out


class Lab:
    """Two hosts on this machine, for as long as the `with` lasts."""

    def __init__(self, folder, rate):
        self.script, self.rate = str(Path(folder).resolve() / "netns-hosts.sh"), rate
        self.settings = str(Path(folder).resolve() / "mpienv.sh")

    def __enter__(self):
        if {"h1", "h2", "hub"} & {line.split()[0] for line in call(["ip", "netns", "list"], 10, stdout=subprocess.PIPE).splitlines()}:
            sys.exit("communication.py: hosts h1, h2 or hub are there already: take them down, or wait until they are")
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")); cache.mkdir(exist_ok=True)
        self.state = tempfile.mkdtemp(prefix="communication-", dir=cache)
        environment["CLUSTER_DIR"] = self.state  # no other lab's hosts are touched
        try:
            call([self.script, "up", "2"], 60, stdout=subprocess.DEVNULL)
            for host in ("h1", "h2"): call([self.script, "rate", host, self.rate], 10)
            self.options = shlex.split(call(["bash", "-c", f'. {shlex.quote(self.settings)}; echo "$NETMCA"'], 10, stdout=subprocess.PIPE))
        except BaseException: self.__exit__(); raise
        return self

    def __exit__(self, *_):
        subprocess.run([self.script, "down"], env=environment, timeout=60, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.state, ignore_errors=True)

    def launcher(self):
        return [self.script, "exec", "h1", "mpirun", "-q", *self.options, "-n", "2", "--host", "h1,h2", "-x", "OMP_NUM_THREADS"]


epochs = {"first": "memory", "later": "disk"}  # what cache.features is for each: the folder of the latter is filled first


def train(launcher, ranks, scratch, features):
    """The figures of one run."""
    command = [*launcher, str(Path(program).resolve()), "train", "-c", o.run, "--resume", "never"]
    for setting in [f"output={scratch}/run", f"train.steps={o.steps}", f"train.global_batch={ranks}", "train.micro_batch=1",
                    f"cache.folder={scratch}/cache", f"cache.features={features}", *o.set]:
        command += ["--set", setting]
    call(command, o.limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = [json.loads(line) for line in open(f"{scratch}/run/metrics.jsonl")][1:]
    shutil.rmtree(f"{scratch}/run")
    of = lambda key: statistics.median(line["communication"][key] for line in lines)
    return {"seconds": statistics.median(line["seconds"] for line in lines), "exposed_s": of("exposed_s"), "skew_s": of("skew_s"), "total_s": of("total_s"), "bytes": of("bytes"),
            "exposed": statistics.median(line["communication"]["exposed_s"] / line["seconds"] for line in lines),
            "network": statistics.median((line["communication"]["exposed_s"] - line["communication"]["skew_s"]) / line["seconds"] for line in lines)}


def shown(values, scale=1, digits=3):
    return f"{statistics.median(values) * scale:.{digits}f} ({min(values) * scale:.{digits}f} – {max(values) * scale:.{digits}f})"


local = ["mpirun", "-q", "--bind-to", "none", "--oversubscribe", "-n"]
# The hosts have a /tmp of their own: what all see must lie elsewhere.
with contextlib.ExitStack() as stack:
    scratch = tempfile.mkdtemp(prefix=".communication-", dir=Path(o.run).resolve().parent)
    stack.callback(shutil.rmtree, scratch, ignore_errors=True)
    places = {"1 rank": (local + ["1"], 1), "2 ranks, shared memory": (local + ["2"], 2)}
    if o.lab: places[f"2 hosts, {o.rate}"] = (stack.enter_context(Lab(o.lab, o.rate)).launcher(), 2)
    train(*places["2 ranks, shared memory"], scratch, "disk")
    figures = {name: {epoch: [] for epoch in epochs} for name in places}
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before", file=sys.stderr)
    for _ in range(o.rounds):
        for name, (launcher, ranks) in places.items():
            for epoch, features in epochs.items(): figures[name][epoch].append(train(launcher, ranks, scratch, features))
    print(f"load {os.getloadavg()[0]:.1f} after", file=sys.stderr)

print("| where | epoch | step, s | all-reduce, s | exposed, s | exposed, % of the step | network, % | MB a step | weak scaling, % |\n|---|---|---|---|---|---|---|---|---|")
for name in places:
    for epoch, runs in figures[name].items():
        column = lambda key: [run[key] for run in runs]
        if name == "1 rank": print(f"| {name} | {epoch} | {shown(column('seconds'))} | | | | | | |"); continue
        efficiency = [alone["seconds"] / run["seconds"] for alone, run in zip(figures["1 rank"][epoch], runs)]
        print(f"| {name} | {epoch} | {shown(column('seconds'))} | {shown(column('total_s'))} | {shown(column('exposed_s'))} | {shown(column('exposed'), 100, 1)} "
              f"| {shown(column('network'), 100, 1)} | {column('bytes')[-1] / 1e6:.1f} | {shown(efficiency, 100, 1)} |")
if o.json: Path(o.json).write_text(json.dumps(figures, indent=1) + "\n")
