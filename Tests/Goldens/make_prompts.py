"""Writes the goldens of prompt and prefix tuning and of P-tuning: what PEFT computes over the models of make_goldens.py.

    python make_prompts.py [NAME …]

Fixtures/prompts/NAME holds `golden.json`, `golden.safetensors` (gradients of step 1, `grad.prompt_encoder.KEY`), `adapter_init/` and
`adapter_final/` as PEFT writes them; with a projection also `projection.safetensors`, its perceptron before step 1, which
PEFT does not save, and no `adapter_init/`. Float32, eager attention, one thread. `nll` and `nll_after` are of each record
alone, before and after the steps; `text_rows` are the tokens that a prompt of a text begins with. `new_ids` continue the
first prompt of the model's own golden, by the reference's full forward pass without a cache.
"""
import json, sys

import torch
from peft import PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import save_file

from make_goldens import FIXTURES, save_adapter, train, versions
from reference import IGNORED, Reference, read_records, token_losses

TEXT = "Answer in few words: what is in the picture?"
KINDS = {
    "prompt": lambda folder: PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    "text": lambda folder: PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=20, prompt_tuning_init="TEXT", prompt_tuning_init_text=TEXT,
                                              tokenizer_name_or_path=str(folder / "model")),
    "prefix": lambda folder: PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "projected": lambda folder: PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3, prefix_projection=True, encoder_hidden_size=24),
    "ptuning": lambda folder: PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4, encoder_hidden_size=16),
}
CASES = [("gpt2", "prompt"), ("gpt2", "prefix"), ("gpt2", "ptuning"), ("llava-clip-llama", "prompt"), ("llava-clip-llama", "text"),
         ("llava-clip-llama", "prefix"), ("llava-siglip-qwen2", "prefix"), ("llava-clip-llama", "projected")]


class Behind(torch.nn.Module):
    """A model with virtual tokens whose logits are those of the real tokens."""

    def __init__(self, model, count):
        super().__init__()
        self.model, self.count = model, count

    def forward(self, **inputs):
        output = self.model(**inputs, use_cache=True) if self.count == 0 else self.model(**inputs)
        output.logits = output.logits[:, self.count:]
        return output


def make(name, kind):
    folder, target = FIXTURES / name, FIXTURES / "prompts" / f"{name}-{kind}"
    target.mkdir(parents=True, exist_ok=True)
    reference = Reference(folder / "model")
    samples = [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / ("train.jsonl" if reference.sees else "text.jsonl"))]
    config = KINDS[kind](folder)
    saves = name == "llava-clip-llama" and kind != "text"
    if saves: config.modules_to_save = ["multi_modal_projector"]
    torch.manual_seed(23)
    model = get_peft_model(reference.model()[0], config)
    projected = kind in ("projected", "ptuning")
    if kind == "prompt":
        for parameter in model.prompt_encoder.parameters(): parameter.data.mul_(0.2)
    first_state = None
    if projected:
        encoder = model.prompt_encoder["default"]
        first_state = {key: value.clone() for key, value in encoder.state_dict().items()}
        save_file(first_state, target / "projection.safetensors")
    else:
        save_adapter(model, target / "adapter_init")
        path = target / "adapter_init" / "adapter_config.json"
        path.write_text(path.read_text().replace(str(folder / "model"), "../model"))
    count = config.num_virtual_tokens if kind in ("prompt", "text", "ptuning") else 0
    behind = Behind(model, count)

    def alone():
        behind.eval()
        with torch.no_grad():
            return [token_losses(behind(**inputs).logits, labels).double().sum().item() for inputs, labels in (reference.batch([s]) for s in samples)]

    def continued():
        """Greedy tokens by whole forward passes: the way of computing that nobody doubts."""
        greedy = json.load(open(folder / "golden.json"))["greedy"][0]
        ids, found = torch.tensor([greedy["input_ids"]]), []
        pixels = {"pixel_values": torch.stack([reference.pixels(FIXTURES / "images" / image)[1] for image in greedy["images"]])} if greedy["images"] else {}
        margin = float("inf")
        with torch.no_grad():
            for _ in range(12):
                best = behind(input_ids=ids, attention_mask=torch.ones_like(ids), **pixels).logits[0, -1].topk(2)
                margin = min(margin, (best.values[0] - best.values[1]).item())
                found.append(best.indices[0].item())
                ids = torch.cat([ids, best.indices[:1].unsqueeze(0)], 1)
        return found, margin

    setting = {"steps": 12, "global_batch": 4, "micro_batch": 2, "warmup_ratio": 0.25, "clip_norm": 1.0,
               "parts": {"projector": {"train": "full", "learning_rate": 1e-3, "weight_decay": 0.01},
                         "language": {"train": "prompt" if count else "prefix", "learning_rate": 2e-2, "weight_decay": 0.01}}}
    if not saves: del setting["parts"]["projector"]
    if kind == "text": setting["steps"] = 0
    before, tensors = alone(), {}
    lines, _ = train(reference, behind, samples, setting, tensors, "grad.")
    if lines: save_adapter(model, target / "adapter_final")
    after, (new_ids, margin) = alone(), continued()
    trained, everything = model.get_nb_trainable_parameters()
    once = sum(p.numel() for n, p in model.named_parameters() if "original_module" not in n)
    save_file({key.replace("grad.model.", "grad."): value.contiguous() for key, value in tensors.items() if "prompt_encoder" in key}, target / "golden.safetensors")
    golden = {"versions": versions(), "model": name, "kind": kind, "tokens": config.num_virtual_tokens, "projection": config.encoder_hidden_size if projected else None,
              "setting": setting, "trainable_parameters": trained, "all_parameters": once, "steps": lines, "nll": before, "nll_after": after,
              "new_ids": new_ids, "smallest_margin": margin, "text": TEXT if kind == "text" else None}
    json.dump(golden, open(target / "golden.json", "w"), separators=(",", ":"))
    # What was saved computes the same when PEFT loads it.
    again = Behind(PeftModel.from_pretrained(reference.model()[0], target / ("adapter_final" if lines else "adapter_init")), count).eval()
    inputs, labels = reference.batch(samples[:1])
    with torch.no_grad():
        assert abs(token_losses(again(**inputs).logits, labels).double().sum().item() - after[0]) < 1e-4
    for path in target.rglob("*.safetensors"): path.chmod(0o644)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{name} {kind}: nll {sum(before):.3f} to {sum(after):.3f}, margin {margin:.4f}, {size} bytes; {sorted(tensors)[:3]}")


for name, kind in CASES:
    if not sys.argv[1:] or f"{name}-{kind}" in sys.argv[1:]: make(name, kind)
