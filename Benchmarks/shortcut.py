#!/usr/bin/env python3
"""Trains on a data set with a text shortcut, with and without remedies, and prints the table of docs/shortcuts.md.

    python3 Benchmarks/shortcut.py [--mmdist mmdist] [--folder DIR] [--only NAME …] [--seeds 0 1 2] [--steps 200] [--jobs 1] [--threads 2]

The set is made of the demo (`mmdist init`): questions for the number of figures and for their side, which the pictures answer, each
followed by a note in brackets, "How many are there? (two)". In the training records a note is right in --share of the questions, wrong
in half of the rest, and missing in the other half. 512 questions about 256 other pictures are asked four times: without notes, with
wrong ones, with right ones, and without notes but with the pictures of other questions.

What was trained and asked stays in --folder: started again, only what is missing is done, and the table is printed of all there is.
Figures are means over the seeds; intervals (95 %) are from drawing seeds and pictures with replacement. Needs nothing but Python and mmdist.
"""
import argparse, concurrent.futures, json, os, random, re, shutil, subprocess, tempfile
from pathlib import Path

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--mmdist", default="mmdist"); a.add_argument("--folder", help="default: a new one for this run alone")
a.add_argument("--only", nargs="*", metavar="NAME", help="rows of the table; default: all"); a.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
a.add_argument("--steps", type=int, default=200, help="of each training"); a.add_argument("--share", type=float, default=0.97, help="of right notes")
a.add_argument("--jobs", type=int, default=1, help="trainings at once"); a.add_argument("--threads", type=int, default=2, help="of each training")

two_rates = ["train.parts.vision={train: lora, learning_rate: 2.0e-4, rank: 16, alpha: 32}", "train.parts.projector.learning_rate=2.0e-4",
             "train.parts.language.learning_rate=5.0e-4"]
dropout = lambda rate: [f"train.text_dropout={rate}"]
contrast = lambda weight, against="shuffled": [f"train.objective.image_contrast={{weight: {weight}, against: {against}}}"]
no_notes = "without any note"
remedies = {
    no_notes: [],
    "no remedy": [],
    "two rates: vision, projector 2e-4, language 5e-4": two_rates,
    "rates: projector 2e-3, language 2e-4": ["train.parts.language.learning_rate=2.0e-4"],
    "balance: norms": ["train.balance=norms"],
    "contrastive 0.1, embedding MSE 1": ["train.objective.contrastive={weight: 0.1}", "train.objective.embedding_mse={weight: 1}"],
    "image contrast 0.3": contrast(0.3),
    "image contrast 1": contrast(1),
    "image contrast 3": contrast(3),
    "image contrast 1, blank": contrast(1, "blank"),
    "text dropout 0.1": dropout(0.1),
    "text dropout 0.3": dropout(0.3),
    "text dropout 0.5": dropout(0.5),
    "text dropout 0.3, image contrast 1": dropout(0.3) + contrast(1),
}
options = [["one", "two", "three"], ["left", "right"]]
kinds = ("none", "wrong", "right")


def family(answer): return next((o for o in options if answer in o), None)


def noted(question, answer, kind, dice):
    """The question with a note."""
    if kind == "none": return question
    return f"{question} ({answer if kind == 'right' else dice.choice([other for other in family(answer) if other != answer])})"


def make_sets(demo, share):
    """Training records with and without notes, and the same held-out questions with notes of each kind and as in training (`like`)."""
    records = [json.loads(line) for line in open(demo / "train.jsonl")]

    def turns(record):
        said = record["conversations"]
        pairs = [(said[i]["value"].removeprefix("<image>"), said[i + 1]["value"]) for i in range(0, len(said), 2)]
        return [(question, answer) for question, answer in pairs if family(answer)]

    def line(record, turns):
        said = [[{"from": "human", "value": ("" if place else "<image>") + question}, {"from": "gpt", "value": answer}]
                for place, (question, answer) in enumerate(turns)]
        return json.dumps({"image": record["image"], "conversations": sum(said, [])}) + "\n"

    def mixed(dice):
        drawn = dice.random()
        return "right" if drawn < share else "wrong" if drawn < (1 + share) / 2 else "none"

    for name, kind in {"noted": mixed, "plain": lambda _: "none"}.items():
        dice = random.Random(1)
        lines = [line(r, [(noted(q, a, kind(dice), dice), a) for q, a in turns(r)]) for r in records[:-256]]
        (demo / f"train-{name}.jsonl").write_text("".join(lines))
    for name in kinds + ("like",):
        dice = random.Random(2)
        lines = [line(r, [(noted(q, a, mixed(dice) if name == "like" else name, dice), a)]) for r in records[-256:] for q, a in turns(r)]
        (demo / f"held-out-{name}.jsonl").write_text("".join(lines))


def mmdist(*arguments):
    done = subprocess.run([program, *arguments], cwd=demo, env=environment, capture_output=True, text=True)
    if done.returncode: raise SystemExit(f"mmdist {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout + done.stderr


def result_file(name, seed): return demo / f"{re.sub('[^a-z0-9.]+', '-', name)}-{o.steps}-steps-seed-{seed}.json"


def examine(name, seed):
    """Trains, asks, and keeps for each picture whether its questions for number and side are answered rightly."""
    file = result_file(name, seed)
    if file.exists(): return
    run, plain = file.with_suffix(""), name == no_notes
    shutil.rmtree(run, ignore_errors=True)
    told = mmdist(
        "train", "-c", "mmdist.yaml", "--set", f"output={run}", f"train.steps={o.steps}", f"train.seed={seed}", "cache.features=disk", "checkpoint.every=100000",
        f"data.train=[{{path: train-{'plain' if plain else 'noted'}.jsonl, images: ./images}}]",
        f"data.validation=[{{path: held-out-{'none' if plain else 'like'}.jsonl, images: ./images}}]", *remedies[name])
    lines = [json.loads(line) for line in open(run / "metrics.jsonl")]
    found = {"alarm": "ignores the pictures" in told, "gains": [line["image_use"]["gain"] for line in lines if "image_use" in line]}
    for kind in kinds:
        report = run / f"{kind}.json"
        mmdist("eval", "-c", "mmdist.yaml", "--set", "cache.features=disk", "--adapter", str(run / "adapter"), "--data", f"held-out-{kind}.jsonl", "--images", "images",
               "--metrics", "exact_match", "--max-new-tokens", "3", *(["--image-use"] if kind == "none" else []), "--output", str(report))
        report = json.load(open(report))
        for place, name in enumerate(("number", "side")):
            samples = [sample for sample in report["samples"] if sample["references"][0] in options[place]]
            found[f"{kind} {name}"] = [sample["exact_match"] for sample in samples]
            if kind == "wrong": found[f"follows {name}"] = [float(f"({sample['prediction'].strip()})" in sample["question"]) for sample in samples]
        if kind == "none": found["exchanged"] = report["image_use"]["shuffled"]["exact_match"]
    shutil.rmtree(run)
    file.write_text(json.dumps(found))


def cell(results, *keys):
    """The mean in percent and its interval."""
    dice, sums = random.Random(3), []
    columns = list(zip(*([sum(answers) for answers in zip(*(result[key] for key in keys))] for result in results)))
    for _ in range(1000):
        seeds = dice.choices(range(len(results)), k=len(results))
        sums.append(sum(sum(column[seed] for seed in seeds) for column in dice.choices(columns, k=len(columns))))
    whole = len(keys) * len(columns) * len(results)
    low, high = (100 * sorted(sums)[place] / whole for place in (25, 974))
    return f"{100 * sum(map(sum, columns)) / whole:.1f} ({low:.0f} – {high:.0f})"


def table():
    print("| remedy | wrong note: number | side | follows it: number | side | right note | no note | no note, other picture | alarm |\n|---|---|---|---|---|---|---|---|---|")
    for name in remedies:
        results = [json.load(open(file)) for seed in o.seeds if (file := result_file(name, seed)).exists()]
        if not results: continue
        cells = [cell(results, key) for key in ("wrong number", "wrong side", "follows number", "follows side")]
        cells += [cell(results, f"{kind} number", f"{kind} side") for kind in ("right", "none")]
        exchanged = 100 * sum(result["exchanged"] for result in results) / len(results)
        print(f"| {name} | {' | '.join(cells)} | {exchanged:.1f} | {sum(result['alarm'] for result in results)} of {len(results)} |")


if __name__ == "__main__":
    o = a.parse_args()
    for name in o.only or []:
        if name not in remedies: a.error(f"no row is called '{name}'; there are: {'; '.join(remedies)}")
    program = shutil.which(o.mmdist) or str(Path(o.mmdist).resolve())
    folder = Path(o.folder or tempfile.mkdtemp(prefix="shortcut-")).resolve()
    demo = folder / f"share-{o.share}"
    environment = dict(os.environ, OMP_NUM_THREADS=str(o.threads), MMDIST_CACHE=str(folder / "cache"))
    if not (demo / "held-out-like.jsonl").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([program, "init", str(demo)], check=True, stdout=subprocess.DEVNULL)
        make_sets(demo, o.share)
    told = mmdist("check", "-c", "mmdist.yaml", "--set", "data.train=[{path: train-noted.jsonl, images: ./images}]",
                  "data.validation=[{path: held-out-like.jsonl, images: ./images}]")
    warning = next((line for line in told.splitlines() if "follow from the question without the picture" in line), None)
    print(warning or "check has not noticed the shortcut", flush=True)
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for _ in pool.map(lambda work: examine(*work), [(name, seed) for seed in o.seeds for name in o.only or remedies]): pass
    table()
    if not o.folder: shutil.rmtree(folder)
