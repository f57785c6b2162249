"""Writes Fixtures/objectives: values and gradients of every objective, and twelve steps of a mixture, on llava-siglip-qwen2.

    python make_objectives.py

The formulas are written out here: CLIP and SigLIP as open_clip and big_vision have them, the rest as in docs/objectives.md. Everything is
float32 with eager attention on one thread; every record goes through the model alone, and losses are over all records at once.
"""
import json, math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import get_cosine_schedule_with_warmup

from reference import IGNORED, Reference, read_records

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "Fixtures"
MODEL = FIXTURES / "llava-siglip-qwen2" / "model"
KEPT = "model.multi_modal_projector.linear_2.weight"

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def part_of(name):
    return "vision" if "vision_tower" in name else "projector" if "multi_modal_projector" in name else "language"


class Pass:
    """One record through the model: logits, projected rows of its pictures, embeddings of its tokens."""

    def __init__(self, reference, model, sample, pixels=None):
        self.sample, tap = sample, {}
        hook = model.model.multi_modal_projector.register_forward_hook(lambda _, inputs, output: tap.update(rows=output))
        given = dict(sample, pixel_values=sample["pixel_values"] if pixels is None else pixels)
        inputs, labels = reference.batch([given])
        self.logits = model(**inputs).logits[0]
        hook.remove()
        self.labels = torch.tensor(sample["labels"])
        self.places = [place for place in range(1, len(sample["labels"])) if sample["labels"][place] != IGNORED]
        self.rows = tap["rows"].reshape(-1, sample_rows, tap["rows"].shape[-1]) if sample["images"] else None
        self.embeddings = model.get_input_embeddings()(torch.tensor(sample["input_ids"]))

    @property
    def said(self):
        """Logits of the positions that predict a trained token, and those tokens."""
        places = torch.tensor(self.places)
        return self.logits[places - 1], self.labels[places]

    @property
    def answers(self):
        """Where runs of trained tokens begin and end among those that are trained."""
        starts = [at for at, place in enumerate(self.places) if at == 0 or place != self.places[at - 1] + 1]
        return list(zip(starts, starts[1:] + [len(self.places)]))

    def mean_log_probabilities(self):
        logits, targets = self.said
        return [-F.cross_entropy(logits[a:b], targets[a:b]) for a, b in self.answers]


sample_rows = 16


def cross_entropy(passes, smoothing=0.0):
    logits, targets = (torch.cat(side) for side in zip(*(p.said for p in passes)))
    return F.cross_entropy(logits, targets, label_smoothing=smoothing)


def z_loss(passes):
    return torch.cat([p.said[0] for p in passes]).logsumexp(-1).square().mean()


def distillation(passes, taught, temperature):
    own, theirs = (torch.cat([p.said[0] for p in side]) / temperature for side in (passes, taught))
    return temperature**2 * F.kl_div(F.log_softmax(own, -1), F.log_softmax(theirs, -1), log_target=True, reduction="batchmean")


def pairs(passes):
    seen = [p for p in passes if p.sample["images"]]
    return (torch.stack([p.rows.reshape(-1, p.rows.shape[-1]).mean(0) for p in seen]),
            torch.stack([p.embeddings[p.places].mean(0) for p in seen]))


def region_pairs(passes, regions):
    return (torch.stack([passes[r["record"]].rows[r["picture"]][r["rows"]].mean(0) for r in regions]),
            torch.stack([passes[r["record"]].embeddings[r["tokens"][0] : r["tokens"][1]].mean(0) for r in regions]))


def contrastive(visual, textual, logit_scale):
    logits = logit_scale.exp() * F.normalize(visual, dim=-1) @ F.normalize(textual, dim=-1).T
    labels = torch.arange(len(logits))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def siglip(visual, textual, logit_scale, logit_bias):
    logits = F.normalize(visual, dim=-1) @ F.normalize(textual, dim=-1).T * logit_scale.exp() + logit_bias
    signs = 2 * torch.eye(len(logits)) - 1
    return -F.logsigmoid(signs * logits).sum() / len(logits)


def embedding_mse(visual, textual, fixed="text", normalise=True):
    if normalise: visual, textual = F.normalize(visual, dim=-1), F.normalize(textual, dim=-1)
    if fixed == "text": textual = textual.detach()
    if fixed == "image": visual = visual.detach()
    return (visual - textual).square().sum(-1).mean() / visual.shape[-1]


def image_contrast(passes, wrong):
    margins = [right - other for own, others in zip(passes, wrong)
               for right, other in zip(own.mean_log_probabilities(), others.mean_log_probabilities())]
    return -F.logsigmoid(torch.stack(margins)).mean()


def wrong_pixels(samples, against):
    """For every sample with pictures: those of the next such sample, cyclic, or blank ones."""
    seen = [s for s in samples if s["images"]]
    found = []
    for place, sample in enumerate(seen):
        other = seen[(place + 1) % len(seen)]["pixel_values"]
        found.append(torch.stack([other[number % len(other)] for number in range(len(sample["images"]))]) if against == "shuffled"
                     else torch.zeros_like(sample["pixel_values"]))
    return seen, found


def start(reference):
    """The model as it is, but for the last matrix of the projector: + 0.05 · sin(index)."""
    model, left = reference.model()
    assert not left, left
    matrix = dict(model.named_parameters())[KEPT]
    matrix.data += 0.05 * torch.sin(torch.arange(matrix.numel(), dtype=torch.float32)).reshape(matrix.shape)
    return model


def values(reference, samples, tensors):
    teacher = reference.model()[0]
    regions = []
    for record, picture, rows, first, count in [(0, 0, [0, 1, 4, 5], 0, 2), (1, 0, [7], 1, 1), (3, 0, [2, 3], 0, 3), (3, 1, [12, 13, 15], 2, 2), (5, 0, list(range(16)), 0, 1)]:
        answer = [place for place, label in enumerate(samples[record]["labels"]) if label != IGNORED]
        regions.append({"record": record, "picture": picture, "rows": rows, "tokens": [answer[first], answer[first] + count]})
    cases, numbers = [], lambda value: torch.tensor(value, requires_grad=True)

    def case(name, keys, loss):
        model = start(reference)
        passes = [Pass(reference, model, sample) for sample in samples]
        scale, bias = numbers(math.log(1 / 0.07)), numbers(-10.0)
        if "siglip" in keys: scale = numbers(math.log(10.0))
        value = loss(model, passes, scale, bias)
        value.backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        if KEPT in gradients: tensors["grad." + name] = gradients[KEPT]
        cases.append({"name": name, "objective": keys, "value": value.item(), "gradient_norms": {n: g.double().norm().item() for n, g in gradients.items()},
                      **({"scale_slope": scale.grad.item()} if scale.grad is not None else {}), **({"bias_slope": bias.grad.item()} if bias.grad is not None else {})})

    def wrong(model, against):
        return [Pass(reference, model, s, pixels) for s, pixels in zip(*wrong_pixels(samples, against))]

    with_pictures = lambda passes: [p for p in passes if p.sample["images"]]
    only = lambda **keys: {"cross_entropy": 0, **keys}
    case("smoothed", {"cross_entropy": 1, "label_smoothing": 0.1}, lambda m, p, s, b: cross_entropy(p, 0.1))
    case("z_loss", only(z_loss=0.5), lambda m, p, s, b: 0.5 * z_loss(p))

    def taught():
        with torch.no_grad(): return [Pass(reference, teacher, sample) for sample in samples]
    case("distillation", only(distillation={"temperature": 2.0}), lambda m, p, s, b: distillation(p, taught(), 2.0))
    case("tokens", {"cross_entropy": 1, "label_smoothing": 0.1, "z_loss": 0.01, "distillation": {"weight": 0.3}},
         lambda m, p, s, b: cross_entropy(p, 0.1) + 0.01 * z_loss(p) + 0.3 * distillation(p, taught(), 1.0))
    case("contrastive", only(contrastive={"learned": True}), lambda m, p, s, b: contrastive(*pairs(p), s))
    case("siglip", only(siglip={}), lambda m, p, s, b: siglip(*pairs(p), s, b))
    for fixed in ("text", "image", "none"):
        case("embedding_mse." + fixed, only(embedding_mse={"fixed": fixed}), lambda m, p, s, b: embedding_mse(*pairs(p), fixed))
    case("embedding_mse.raw", only(embedding_mse={"normalise": False}), lambda m, p, s, b: embedding_mse(*pairs(p), normalise=False))
    case("regions", only(regions={"learned": True}), lambda m, p, s, b: contrastive(*region_pairs(p, regions), s))
    for against in ("shuffled", "blank"):
        case("image_contrast." + against, only(image_contrast={"against": against}), lambda m, p, s, b: image_contrast(with_pictures(p), wrong(m, against)))
    mixture = {"cross_entropy": 0.8, "z_loss": 0.001, "contrastive": {"weight": 0.5, "learned": True}, "embedding_mse": {"weight": 3, "fixed": "none"},
               "image_contrast": {"weight": 0.2, "against": "blank"}}
    case("mixture", mixture, lambda m, p, s, b: 0.8 * cross_entropy(p) + 0.001 * z_loss(p) + 0.5 * contrastive(*pairs(p), s) + 3 * embedding_mse(*pairs(p), "none")
         + 0.2 * image_contrast(with_pictures(p), wrong(m, "blank")))
    return {"cases": cases, "regions": regions}


def curve(reference, samples):
    """Twelve steps of cross-entropy, contrastive with a learned temperature and embedding MSE, every parameter trained."""
    setting = {"steps": 12, "global_batch": 5, "micro_batch": 2, "learning_rate": 1e-3, "objective_rate": 1e-2, "warmup_ratio": 0.1, "clip_norm": 1.0,
               "objective": {"cross_entropy": 1, "contrastive": {"weight": 0.5, "learned": True}, "embedding_mse": {"weight": "2 to 1 over 8"}}}
    model, lines = start(reference), []
    scale = torch.tensor([math.log(1 / 0.07)], requires_grad=True)
    trained = list(model.parameters())
    optimizer = torch.optim.AdamW([{"params": trained, "lr": setting["learning_rate"]}, {"params": [scale], "lr": setting["objective_rate"]}],
                                  betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=False)
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(setting["warmup_ratio"] * setting["steps"]), setting["steps"])
    for step in range(1, setting["steps"] + 1):
        chosen = [((step - 1) * 5 + offset) % len(samples) for offset in range(5)]
        passes = [Pass(reference, model, samples[index]) for index in chosen]
        tokens, seen = cross_entropy(passes), any(p.sample["images"] for p in passes)
        near = contrastive(*pairs(passes), scale) if seen else torch.zeros(())
        close = embedding_mse(*pairs(passes)) if seen else torch.zeros(())
        weight = 2 - min(step - 1, 8) / 8
        total = tokens + 0.5 * near + weight * close
        total.backward()
        if not seen: scale.grad = None
        norms = {part: sum(float(p.grad.double().square().sum()) for n, p in model.named_parameters() if part_of(n) == part and p.grad is not None) ** 0.5
                 for part in ("vision", "projector", "language")}
        norm = torch.nn.utils.clip_grad_norm_([*trained, scale], setting["clip_norm"], foreach=False).item()
        optimizer.step(); schedule.step(); optimizer.zero_grad(set_to_none=True)
        with torch.no_grad(): scale.clamp_(0, math.log(100))
        lines.append({"step": step, "loss": total.item(), "losses": {"cross_entropy": tokens.item(), "contrastive": near.item(), "embedding_mse": close.item()},
                      "pairs": sum(bool(p.sample["images"]) for p in passes), "grad_norm": norm, "grad_norms": norms, "logit_scale": scale.item()})
    return {"setting": setting, "steps": lines}


def main():
    reference = Reference(MODEL)
    samples = [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / "train.jsonl")]
    tensors = {}
    figures = {**values(reference, samples, tensors), "curve": curve(reference, samples)}
    folder = FIXTURES / "objectives"
    folder.mkdir(exist_ok=True)
    (folder / "golden.json").write_text(json.dumps(figures, indent=1) + "\n")
    save_file(tensors, folder / "golden.safetensors")


if __name__ == "__main__":
    main()
