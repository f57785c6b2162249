"""Writes Fixtures/placement.json: where pictures may stand in a conversation, and what transformers makes of each place.

    python make_placement.py

The corpus is every choice of places below. For each model and record: the ids of the processor from pictures and rendered text, held
against those of `reference.py`, and the runs of supervised tokens [first, end). With {% generation %} these are the processor's own mask;
image tokens are never supervised.
"""
import itertools, json

import torch
from transformers.image_utils import load_image

from make_objectives import FIXTURES
from reference import GENERATION, Reference, image_names

PICTURES = ["03-small.jpg", "04-grey.jpg", "10-square.jpg", "06-alpha.png"]
MODELS = ["llava-clip-llama", "llava-siglip-qwen2", "llava-list"]
TAG = "<image>"

# What a turn may say; each tag takes the next picture.
USER = ["What is {t} here?", "{t}\nWhat is it?", "Look:\n{t}", "{t}{t} Which one?", "Is {t} or {t} taller than {t}?", "{t}", "No picture."]
ASSISTANT = ["It is red.", "Like this {t} one.", "{t}\nDone.", "See {t}"]
SYSTEM = [None, "Be brief.", "Style: {t} Keep it."]


def record(system, *turns):
    names = itertools.cycle(PICTURES)
    said = [("system", system)] * (system is not None) + [("human" if n % 2 == 0 else "gpt", text) for n, text in enumerate(turns)]
    images = [next(names) for _, text in said for _ in range(text.count("{t}"))]
    return {**({"image": images} if images else {}), "conversations": [{"from": who, "value": text.replace("{t}", TAG)} for who, text in said]}


def corpus():
    one = [record(system, user, answer) for system in SYSTEM for user in USER for answer in ASSISTANT]
    two = [record(SYSTEM[(a + b) % 3], USER[a], ASSISTANT[(a + b) % 4], USER[b], ASSISTANT[b % 4]) for a in range(7) for b in range(7)]
    return one + two


def encode(reference, sample):
    """Ids and supervised tokens of a record, as `Reference.encode` has them but for pictures that the assistant shows."""
    messages = reference.messages(sample)
    text, spans = reference.answers(messages)
    expanded, moved = reference.expand(text, spans)
    bos = reference.tokenizer.bos_token
    encoded = reference.tokenizer(expanded, return_offsets_mapping=True, add_special_tokens=not (bos and expanded.startswith(bos)))
    ids = encoded["input_ids"]
    pictures = [load_image(str(FIXTURES / "images" / name)) for name in image_names(sample)]
    theirs = reference.processor(text=text, images=pictures or None, return_tensors="pt")
    assert theirs["input_ids"][0].tolist() == ids
    mask = [any(start < b and a < end for a, b in moved) for start, end in encoded["offset_mapping"]]
    if GENERATION.search(reference.template_owner.chat_template):
        queue = list(pictures)
        for message in messages:
            for part in message["content"]:
                if part["type"] == "image": part["image"] = queue.pop(0)
        full = reference.processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True,
                                                       processor_kwargs={"return_tensors": "pt"})
        assert full["input_ids"][0].tolist() == ids
        assert torch.as_tensor(full["assistant_masks"])[0].tolist() == [int(flag) for flag in mask]
    mask = [flag and token != reference.processor.image_token_id for flag, token in zip(mask, ids)]
    runs = [list(group) for flag, group in itertools.groupby(range(len(ids)), lambda place: mask[place]) if flag]
    return {"ids": ids, "supervised": [[run[0], run[-1] + 1] for run in runs]}


def main():
    records, models = corpus(), {}
    for name in MODELS:
        reference = Reference(FIXTURES / name / "model")
        models[name] = [encode(reference, sample) for sample in records]
        for found in models[name]:
            # A run of one id as [-count, id], so that image tokens take no room.
            packed = []
            for token, group in itertools.groupby(found["ids"]):
                count = len(list(group))
                packed += [-count, token] if count > 2 else [token] * count
            found["ids"] = packed
    lines = ["{" + f'"records": {json.dumps(records)}']
    lines += [f'"{name}": {json.dumps(found, separators=(",", ":"))}' for name, found in models.items()]
    (FIXTURES / "placement.json").write_text(",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
