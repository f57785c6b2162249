#!/usr/bin/env python3
"""Makes FOLDER for the studies of docs/study.md: the demo, its pictures in two other kinds, and the study files.

    Benchmarks/study/prepare.py FOLDER [--mmdist mmdist] [--small MODEL]
    cd FOLDER && mmdist study -c methods.yaml

MODEL is a smaller model of the demo's kind: `demo/make_model.sh WORK MODEL` makes one from a config.json with other sizes,
here width 64, three layers and two heads in both parts, MLPs of 160 (language) and 128 (vision). Needs Pillow.
"""
import argparse, shutil, subprocess
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("folder", type=Path); a.add_argument("--mmdist", default="mmdist"); a.add_argument("--small", type=Path)
o = a.parse_args()


kinds = {
    "negative": ImageOps.invert,
    "outlines": lambda picture: picture.filter(ImageFilter.FIND_EDGES),
}
subprocess.run([o.mmdist, "init", str(o.folder)], check=True)
for kind, change in kinds.items():
    folder = o.folder / f"images-{kind}"
    folder.mkdir()
    for file in sorted((o.folder / "images").iterdir()):
        changed = change(Image.open(file).convert("RGB"))
        changed.save(folder / file.name, **({"quality": 95} if file.suffix == ".jpg" else {}))
for file in Path(__file__).parent.glob("*.yaml"): shutil.copy(file, o.folder)
if o.small: shutil.copytree(o.small, o.folder / "model-small")
