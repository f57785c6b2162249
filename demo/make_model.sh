#!/bin/sh
# Makes the model that comes with the program, from random weights; see README.md.
#   demo/make_model.sh WORK_FOLDER
# Run it in the root of the repository after `swift build -c release`.
set -eu
work=${1:?usage: demo/make_model.sh WORK_FOLDER}
model=Sources/Demo/Resources/model
tool=.build/release/demo-recipe
mmdist=.build/release/mmdist

mkdir -p "$work"
cp demo/pretrain.yaml "$work"
"$tool" captions "$work" 8000 1
"$tool" fresh "$model" "$work/fresh"
"$mmdist" train -c "$work/pretrain.yaml"
"$mmdist" export --checkpoint "$work/run/checkpoints/$(ls "$work/run/checkpoints" | tail -1)" \
  --format merged --output "$work/trained"
"$tool" bundle "$work/trained" "$model"
