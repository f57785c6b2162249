"""Makes Fixtures/embeddings/llava-clip-llama.safetensors: hidden states of the golden CLIP + Llama, as transformers has them.

    python make_embeddings.py

`language.RR.DEPTH` [T, D]: hidden_states[DEPTH] of the language model for record RR of train.jsonl (00 has a picture, 06 none);
`vision.DEPTH` [tokens, D]: those of the vision tower for the picture of record 00, class token first.
"""
from pathlib import Path

import torch
from safetensors.torch import save_file

from reference import Reference, read_records

FIXTURES = Path(__file__).resolve().parent / "Fixtures"


def main():
    torch.set_num_threads(1)
    reference = Reference(FIXTURES / "llava-clip-llama" / "model")
    model, _ = reference.model()
    records = read_records(FIXTURES / "train.jsonl")
    tensors = {}
    with torch.no_grad():
        for number in (0, 6):
            sample = reference.encode(records[number], FIXTURES / "images")
            inputs, _ = reference.batch([sample])
            states = model(**inputs, output_hidden_states=True).hidden_states
            for depth in (0, 1, len(states) - 1): tensors[f"language.{number:02}.{depth}"] = states[depth][0].contiguous()
            if sample["pixel_values"] is not None:
                seen = model.model.vision_tower(sample["pixel_values"], output_hidden_states=True).hidden_states
                for depth in (0, len(seen) - 1): tensors[f"vision.{depth}"] = seen[depth][0].contiguous()
    (FIXTURES / "embeddings").mkdir(exist_ok=True)
    save_file(tensors, FIXTURES / "embeddings" / "llava-clip-llama.safetensors")


if __name__ == "__main__":
    main()
