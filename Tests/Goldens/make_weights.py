"""Writes Fixtures/weights: values and gradients of objectives where tokens count as their turns' weights say, on llava-siglip-qwen2.

    python make_weights.py

Turn k of record r, among those that are trained, has the weight WEIGHTS[(r + k) % 5]; 0 is a turn that is not trained. A loss of tokens
is Σ weight · loss / Σ weight over all records, as torch.nn.functional.cross_entropy has it for weights of classes. Models, passes and all
else as in make_objectives.py.
"""
import json

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from make_objectives import FIXTURES, KEPT, MODEL, Pass, contrastive, embedding_mse, pairs, start, wrong_pixels
from reference import IGNORED, Reference, read_records

WEIGHTS = [1, 0.5, 2, 0, 0.1]


def token_weights(record, labels):
    """One number a token: the weight of its turn where it is trained, else 0."""
    weights, turn, inside = [], -1, False
    for label in labels:
        turn += label != IGNORED and not inside
        inside = label != IGNORED
        weights.append(WEIGHTS[(record + turn) % len(WEIGHTS)] if inside else 0)
    return weights


def told(passes):
    """Logits, targets and weights of all trained tokens, one after another."""
    logits, targets = (torch.cat(side) for side in zip(*(p.said for p in passes)))
    return logits, targets, torch.cat([p.weights[p.places] for p in passes])


def weighted(losses, weights):
    return (weights * losses).sum() / weights.sum()


def cross_entropy(passes, smoothing=0.0):
    logits, targets, weights = told(passes)
    return weighted(F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none"), weights)


def z_loss(passes):
    logits, _, weights = told(passes)
    return weighted(logits.logsumexp(-1).square(), weights)


def distillation(passes, taught, temperature):
    logits, _, weights = told(passes)
    theirs = told(taught)[0]
    losses = F.kl_div(F.log_softmax(logits / temperature, -1), F.log_softmax(theirs / temperature, -1), log_target=True, reduction="none").sum(-1)
    return temperature**2 * weighted(losses, weights)


def image_contrast(passes, wrong):
    def likelihoods(passes):
        for p in passes:
            logits, targets, weights = told([p])
            losses = F.cross_entropy(logits, targets, reduction="none")
            yield from (-weighted(losses[a:b], weights[a:b]) for a, b in p.answers)
    return -F.logsigmoid(torch.stack([right - other for right, other in zip(likelihoods(passes), likelihoods(wrong))])).mean()


def main():
    reference = Reference(MODEL)
    samples = [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / "train.jsonl")]
    weights = [token_weights(number, sample["labels"]) for number, sample in enumerate(samples)]
    for sample, own in zip(samples, weights):
        sample["labels"] = [label if weight else IGNORED for label, weight in zip(sample["labels"], own)]
    # A record that trains nothing is none.
    kept = [number for number, sample in enumerate(samples) if any(label != IGNORED for label in sample["labels"][1:])]

    def through(model, numbers, pixels=None):
        passes = []
        for place, number in enumerate(numbers):
            p = Pass(reference, model, samples[number], None if pixels is None else pixels[place])
            p.weights = torch.tensor(weights[number], dtype=torch.float32)
            passes.append(p)
        return passes

    seen = [number for number in kept if samples[number]["images"]]
    teacher = reference.model()[0]
    cases, tensors = [], {}

    def case(name, keys, loss):
        model = start(reference)
        value = loss(model, through(model, kept))
        value.backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        tensors["grad." + name] = gradients[KEPT]
        cases.append({"name": name, "objective": keys, "value": value.item(), "gradient_norms": {n: g.double().norm().item() for n, g in gradients.items()}})

    def taught():
        with torch.no_grad(): return through(teacher, kept)

    def blind(model):
        return image_contrast(through(model, seen), through(model, seen, wrong_pixels([samples[number] for number in seen], "blank")[1]))

    scale = torch.tensor(1 / 0.07).log()
    case("cross_entropy", {"cross_entropy": 1}, lambda m, p: cross_entropy(p))
    case("tokens", {"cross_entropy": 1, "label_smoothing": 0.1, "z_loss": 0.01, "distillation": {"weight": 0.3, "temperature": 2.0}},
         lambda m, p: cross_entropy(p, 0.1) + 0.01 * z_loss(p) + 0.3 * distillation(p, taught(), 2.0))
    case("image_contrast", {"cross_entropy": 0, "image_contrast": {"against": "blank"}}, lambda m, p: blind(m))
    near = lambda p: pairs([one for one in p if one.sample["images"]])
    case("mixture", {"cross_entropy": 0.8, "contrastive": {"weight": 0.5}, "embedding_mse": {"weight": 3, "fixed": "none"}},
         lambda m, p: 0.8 * cross_entropy(p) + 0.5 * contrastive(*near(p), scale) + 3 * embedding_mse(*near(p), "none"))

    folder = FIXTURES / "weights"
    folder.mkdir(exist_ok=True)
    text = json.dumps({"records": kept, "weights": weights, "cases": cases})
    (folder / "golden.json").write_text(text + "\n")
    save_file(tensors, folder / "golden.safetensors")


if __name__ == "__main__":
    main()
