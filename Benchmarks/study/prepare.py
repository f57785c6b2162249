#!/usr/bin/env python3
"""Makes FOLDER for the studies of docs/study.md: the demo, its pictures in three other kinds, and the study files.

    Benchmarks/study/prepare.py FOLDER [--mmdist mmdist] [--small MODEL]
    cd FOLDER && mmdist study -c methods.yaml

MODEL is a smaller model of the demo's kind: `demo/make_model.sh WORK MODEL` makes one from a config.json with other sizes,
here width 64 and three layers in both parts. Needs Pillow and numpy.
"""
import argparse, shutil, subprocess, zlib
from pathlib import Path

import numpy
from PIL import Image, ImageFilter, ImageOps

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("folder", type=Path); a.add_argument("--mmdist", default="mmdist"); a.add_argument("--small", type=Path)
o = a.parse_args()


def noisy(picture, name):
    """With Gaussian noise of deviation 70, drawn by the name."""
    noise = numpy.random.default_rng(zlib.crc32(name.encode())).normal(0, 70, (picture.height, picture.width, 3))
    return Image.fromarray(numpy.clip(numpy.asarray(picture, dtype=float) + noise, 0, 255).astype("uint8"))


kinds = {
    "negative": lambda picture, name: ImageOps.invert(picture),
    "outlines": lambda picture, name: picture.filter(ImageFilter.FIND_EDGES),
    "noise": noisy,
}
subprocess.run([o.mmdist, "init", str(o.folder)], check=True)
for kind, change in kinds.items():
    folder = o.folder / f"images-{kind}"
    folder.mkdir()
    for file in sorted((o.folder / "images").iterdir()):
        changed = change(Image.open(file).convert("RGB"), file.stem)
        changed.save(folder / file.name, **({"quality": 95} if file.suffix == ".jpg" else {}))
for file in Path(__file__).parent.glob("*.yaml"): shutil.copy(file, o.folder)
if o.small: shutil.copytree(o.small, o.folder / "model-small")
