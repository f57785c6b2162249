"""Loads what a run or an export left behind in PEFT or transformers, strictly, and prints its loss on a file of records.

    python check_adapter.py MODEL RECORDS IMAGES --adapter ADAPTER     # a PEFT adapter on its base model
    python check_adapter.py MODEL RECORDS IMAGES                       # a whole model: the base, or a merged export

MODEL is a Hugging Face folder with tokenizer and processor. Prints one JSON line; exits 1 when any key is missing or left over.
"""
import argparse, json, os, sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from pathlib import Path
from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from reference import Reference, read_records, supervised, token_losses


def with_adapter(model, folder):
    """The model with the adapter in it, and the keys that did not find each other."""
    config = PeftConfig.from_pretrained(folder)
    wrapped = get_peft_model(model, config)
    stored, wanted = load_file(Path(folder) / "adapter_model.safetensors"), get_peft_model_state_dict(wrapped)
    left = {"missing": sorted(wanted.keys() - stored.keys()), "unexpected": sorted(stored.keys() - wanted.keys()),
            "shapes": sorted(key for key in wanted.keys() & stored.keys() if wanted[key].shape != stored[key].shape)}
    if not left["shapes"]:
        # What goes to the encoder of virtual tokens has its place there, and not in the model.
        left["unexpected"] += [key for key in set_peft_model_state_dict(wrapped, stored).unexpected_keys if key != "prompt_embeddings"]
        bound = get_peft_model_state_dict(wrapped)
        left["unbound"] = sorted(key for key in stored if key in bound and not torch.equal(bound[key].float(), stored[key].float()))
    return wrapped.eval(), {kind: keys for kind, keys in left.items() if keys}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "records", "images"): parser.add_argument(name)
    parser.add_argument("--adapter")
    options = parser.parse_args()
    torch.set_num_threads(1)
    reference = Reference(options.model)
    model, left = reference.model()
    if options.adapter and not left: model, left = with_adapter(model, options.adapter)
    if left:
        print(json.dumps({"faults": left}))
        return 1
    samples = []
    with torch.no_grad():
        for index, record in enumerate(read_records(options.records)):
            sample = reference.encode(record, options.images)
            inputs, labels = reference.batch([sample])
            logits = model(**inputs).logits[:, -labels.shape[1]:]  # those of virtual tokens come first
            samples.append({"index": index, "nll": token_losses(logits, labels).double().sum().item(), "tokens": supervised(sample["labels"])})
    nll, tokens = sum(s["nll"] for s in samples), sum(s["tokens"] for s in samples)
    print(json.dumps({"nll": nll, "tokens": tokens, "loss": nll / tokens, "samples": samples}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
