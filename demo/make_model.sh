#!/bin/sh
# Makes the model that comes with the program, from random weights; see README.md.
#   demo/make_model.sh WORK_FOLDER [MODEL_FOLDER]
# Run it in the root of the repository after `swift build -c release`. It takes about ten minutes on two cores.
# MODEL_FOLDER holds the model's files, of which config.json says how large it is, and gets the weights: a copy of the
# default with other sizes makes another model of the same kind. BUILD is the folder of the programs.
set -eu
work=${1:?usage: demo/make_model.sh WORK_FOLDER [MODEL_FOLDER]}
model=${2:-Sources/Demo/Resources/model}
build=${BUILD:-.build/release}
tool=$build/demo-recipe
mmdist=$build/mmdist

mkdir -p "$work"
cp demo/pretrain.yaml demo/pretrain-again.yaml "$work"
"$tool" captions "$work" 8000 1
"$tool" fresh "$model" "$work/fresh"

# shellcheck disable=SC2012 # step folders have plain names
export_run() { # RUN FOLDER
  "$mmdist" export --checkpoint "$work/$1/checkpoints/$(ls "$work/$1/checkpoints" | tail -1)" \
    --format merged --output "$work/$2"
}

"$mmdist" train -c "$work/pretrain.yaml"
export_run run first
"$mmdist" train -c "$work/pretrain-again.yaml" --set model="$work/first" --set output="$work/run-again"
export_run run-again second
"$mmdist" train -c "$work/pretrain-again.yaml" --set model="$work/second" --set output="$work/run-third" \
  --set train.seed=2 --set train.steps=2000
export_run run-third trained
"$tool" bundle "$work/trained" "$model"
