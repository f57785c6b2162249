"""Loads a CLIP or SigLIP adapter that a run left behind in PEFT, strictly, and holds its similarities to those of `mmdist similarity`.

    mmdist similarity --model MODEL --adapter ADAPTER --image A.jpg B.jpg --text "a cat" "a dog" --json > similarity.json
    python check_pairs.py MODEL ADAPTER similarity.json

Prints one JSON line: keys that did not find each other, what PEFT warned of while it loaded the adapter, whether it took the numbers
that lie beside the layers (`logit_scale`, `logit_bias`), and the largest differences of logits and probabilities. Exits 1 for any key,
warning or number that was left aside, and where a difference is larger than the tolerance.
"""
import argparse, json, logging, os, sys, warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from pathlib import Path
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
from transformers.image_utils import load_image

BESIDE = {"logit_scale", "logit_bias"}


class Complaints(logging.Handler):
    """Every warning that a library logs."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def loaded(model, folder):
    """The model with the adapter, keys that are missing or left over, and which numbers beside the layers were taken."""
    wrapped = PeftModel.from_pretrained(model, folder)
    stored, bound = load_file(Path(folder) / "adapter_model.safetensors"), get_peft_model_state_dict(wrapped)
    beside = {key: value for key, value in stored.items() if key.rsplit(".", 1)[-1] in BESIDE}
    layers = stored.keys() - beside.keys()
    faults = {"missing": sorted(bound.keys() - stored.keys()), "unexpected": sorted(layers - bound.keys()),
              "unbound": sorted(key for key in layers & bound.keys() if not torch.equal(bound[key].float(), stored[key].float()))}
    own = dict(wrapped.get_base_model().named_parameters())
    done = {}
    for key, value in beside.items():
        parameter = own[key.removeprefix("base_model.model.")]
        done[key] = bool(torch.equal(parameter.data.reshape(-1), value.reshape(-1).to(parameter.dtype)))
    return wrapped.eval(), {name: keys for name, keys in faults.items() if keys}, done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "adapter", "similarity"): parser.add_argument(name)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = json.loads(Path(options.similarity).read_text())
    base = AutoModel.from_pretrained(options.model, dtype=torch.float32, attn_implementation="eager")
    complaints = Complaints()
    for name in ("", "transformers", "peft"): logging.getLogger(name).addHandler(complaints)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model, faults, beside = loaded(base, options.adapter)
    for name in ("", "transformers", "peft"): logging.getLogger(name).removeHandler(complaints)
    tokenizer, processor = AutoTokenizer.from_pretrained(options.model), AutoImageProcessor.from_pretrained(options.model, backend="pil")
    is_clip = model.config.model_type == "clip"
    fill = dict(padding=True) if is_clip else dict(padding="max_length", max_length=model.config.text_config.max_position_embeddings)
    texts = tokenizer(wanted["texts"], truncation=True, return_tensors="pt", **fill)
    pixels = processor([load_image(path) for path in wanted["images"]], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        inputs = dict(input_ids=texts["input_ids"], pixel_values=pixels)
        if is_clip: inputs["attention_mask"] = texts["attention_mask"]
        logits = model(**inputs).logits_per_image
    probabilities = logits.softmax(-1) if is_clip else logits.sigmoid()
    difference = {name: (value.double() - torch.tensor(wanted[name], dtype=torch.float64)).abs().max().item()
                  for name, value in [("logits", logits), ("probabilities", probabilities)]}
    said = sorted({str(w.message) for w in found if issubclass(w.category, UserWarning)} | set(complaints.lines))
    print(json.dumps({"faults": faults, "warnings": said, "loaded_by_peft": beside, "difference": difference}))
    return 1 if faults or said or not all(beside.values()) or max(difference.values()) > options.tolerance else 0


if __name__ == "__main__":
    sys.exit(main())
