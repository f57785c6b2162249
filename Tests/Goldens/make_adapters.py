"""Writes the goldens of bottleneck adapters: what the `adapters` library computes over the models of make_goldens.py.

    python make_adapters.py [NAME …]      # with adapters 1.3, which wants transformers 4.57

Fixtures/adapters/NAME holds `golden.json` and what the library saves: of the trained kinds `adapter_init/` and
`adapter_final/`, of several adapters `setup_init/`, and of a stack `setup_final/`. GPT-2 is trained on its records for twelve steps,
as the other goldens are; of Llama, alone as it is inside the LLaVA model, of CLIP's vision encoder and of BERT there is one pass:
`hidden` and the gradients (`grad.KEY`) of Σ hidden · weights in `golden.safetensors`. Float32, eager attention, one thread.
"""
import json, math, os, shutil, sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import adapters, torch, transformers
import adapters.composition as composition
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaModel, get_cosine_schedule_with_warmup

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
FIXTURES = Path(__file__).resolve().parent / "Fixtures"
KINDS = {"houlsby": ("double_seq_bn", dict(reduction_factor=8)), "pfeiffer": ("seq_bn", dict(reduction_factor=6)), "parallel": ("par_bn", dict(reduction_factor=8))}


def samples(name):
    golden = json.load(open(FIXTURES / name / "golden.json"))
    return [(record["input_ids"], record["labels"]) for record in golden["records"]]


def losses(model, chosen):
    """-log p of every supervised token, each record alone: padding changes nothing."""
    total = 0
    for ids, labels in chosen:
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor(labels[1:]), ignore_index=-100, reduction="sum")
    return total


def train(model, everything, setting):
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    options = setting["parts"]["language"]
    groups = [{"params": [p for name, p in trainable.items() if name.endswith("bias") == plain], "lr": options["learning_rate"], "weight_decay": 0.0 if plain else options["weight_decay"]}
              for plain in (False, True)]
    optimizer = torch.optim.AdamW(groups, foreach=False)
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(setting["warmup_ratio"] * setting["steps"]), setting["steps"])
    lines, cursor, first = [], 0, {}
    for step in range(1, setting["steps"] + 1):
        chosen = [everything[(cursor + i) % len(everything)] for i in range(setting["global_batch"])]
        cursor += setting["global_batch"]
        count = sum(sum(label != -100 for label in labels[1:]) for _, labels in chosen)
        loss = losses(model, chosen) / count
        loss.backward()
        if step == 1: first = {name: p.grad.clone() for name, p in trainable.items()}
        norm = torch.nn.utils.clip_grad_norm_(list(trainable.values()), setting["clip_norm"], foreach=False).item()
        lines.append({"step": step, "loss": loss.item(), "grad_norm": norm, "supervised_tokens": count, "tokens": sum(len(ids) for ids, _ in chosen)})
        optimizer.step(); schedule.step(); optimizer.zero_grad(set_to_none=True)
    return lines, first


def tidy(folder):
    """Heads are saved beside the adapters, and where the model lay: neither belongs here."""
    for path in folder.rglob("*head*"): path.unlink()
    for path in folder.rglob("adapter*config.json"):
        said = json.loads(path.read_text())
        said["model_name"] = "../model"
        path.write_text(json.dumps(said, indent=2, sort_keys=True))
    for path in folder.rglob("*.safetensors"): path.chmod(0o644)


def disturb(model, part):
    """Adapters begin near no change; these do something, biases too."""
    for name, parameter in model.named_parameters():
        if part in name: parameter.data.add_(0.05 * torch.randn(parameter.shape))


def figures(model, name, kind, target, trained_only=True):
    setting = {"steps": 12, "global_batch": 4, "micro_batch": 2, "warmup_ratio": 0.25, "clip_norm": 1.0, "parts": {"language": {"learning_rate": 5e-3, "weight_decay": 0.01}}}
    everything = samples(name)
    alone = lambda: [losses(model, [sample]).item() for sample in everything]
    model.eval()
    with torch.no_grad(): before = alone()
    lines, first = train(model, everything, setting)  # in eval mode: the golden models have no dropout
    with torch.no_grad(): after = alone()
    if "task" in next(iter(first)): save_file({"grad." + key: value.contiguous() for key, value in first.items()}, target / "golden.safetensors")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    json.dump({"versions": {"adapters": adapters.__version__, "transformers": transformers.__version__, "torch": torch.__version__}, "model": name, "kind": kind, "setting": setting,
               "trainable_parameters": trained, "steps": lines, "nll": before, "nll_after": after}, open(target / "golden.json", "w"), separators=(",", ":"))
    print(target.name, f"loss {lines[0]['loss']:.4f} to {lines[-1]['loss']:.4f}")


def gpt2():
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / "gpt2" / "model", attn_implementation="eager", dtype=torch.float32)
    adapters.init(model)
    return model


def fresh(name):
    target = FIXTURES / "adapters" / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return target


def single(kind):
    target, (config, options) = fresh("gpt2-" + kind), KINDS[kind]
    torch.manual_seed(31)
    model = gpt2()
    model.add_adapter("task", config=adapters.AdapterConfig.load(config, **options))
    disturb(model, ".adapters.task.")
    model.train_adapter("task")
    model.save_adapter(str(target / "adapter_init"), "task", use_safetensors=True)
    figures(model, "gpt2", kind, target)
    model.save_adapter(str(target / "adapter_final"), "task", use_safetensors=True)
    tidy(target)


def several(block, kind):
    """Two adapters: of a stack the second is trained, of a fusion the layer over both."""
    target, (config, options) = fresh(f"gpt2-{block.__name__.lower()}-{kind}"), KINDS[kind]
    torch.manual_seed(37)
    model = gpt2()
    for name in ("first", "second"): model.add_adapter(name, config=adapters.AdapterConfig.load(config, **options))
    disturb(model, ".adapters.")
    setup = block("first", "second")
    if block is composition.Fuse:
        model.add_adapter_fusion(setup)
        disturb(model, "adapter_fusion_layer")
        model.train_adapter_fusion(setup)
    else:
        model.train_adapter(setup)
        for name, parameter in model.named_parameters(): parameter.requires_grad_(".adapters.second." in name)
    model.set_active_adapters(setup)
    model.save_adapter_setup(str(target / "setup_init"), setup, use_safetensors=True)
    figures(model, "gpt2", kind, target)
    if block is composition.Stack: model.save_adapter_setup(str(target / "setup_final"), setup, use_safetensors=True)
    tidy(target)


def part(kind, what):
    """One pass of BERT, or of Llama or CLIP's vision encoder, taken out of the LLaVA model."""
    target, (config, options) = fresh(f"{what}-{kind}"), KINDS[kind]
    folder = FIXTURES / ("bert" if what == "bert" else "llava-clip-llama") / "model"
    whole = json.load(open(folder / "config.json"))
    weights = {k: v for path in folder.glob("*.safetensors") for k, v in load_file(path).items()}
    torch.manual_seed(41)
    if what == "llama":
        said = dict(whole["text_config"])
        rope = said.pop("rope_parameters")
        said.update(rope_theta=rope["rope_theta"], rope_scaling={k: v for k, v in rope.items() if k != "rope_theta"})
        model = LlamaModel(LlamaConfig(**said, attn_implementation="eager"))
        prefix = "language_model.model."
    elif what == "bert":
        model, prefix = BertModel(BertConfig.from_pretrained(folder, attn_implementation="eager"), add_pooling_layer=False), "bert."
        weights = {k: v for k, v in weights.items() if "pooler" not in k}
    else:
        model = CLIPVisionModel(CLIPVisionConfig(**whole["vision_config"], attn_implementation="eager"))
        prefix = "vision_tower."
    own = {k[len(prefix):]: v.float() for k, v in weights.items() if k.startswith(prefix)}
    if what == "clip": own = {k if k.startswith("vision_model.") else "vision_model." + k: v for k, v in own.items()}
    missing, surplus = model.load_state_dict(own, strict=False)
    assert not surplus and all("position_ids" in key for key in missing), (missing, surplus)
    adapters.init(model)
    model.add_adapter("task", config=adapters.AdapterConfig.load(config, **options))
    disturb(model, ".adapters.task.")
    model.train_adapter("task"); model.eval()
    model.save_adapter(str(target / "adapter_init"), "task", use_safetensors=True)
    if what != "clip":
        inputs = dict(input_ids=torch.arange(20, 32).unsqueeze(0))
        hidden = model(**inputs).last_hidden_state
    else:
        size = whole["vision_config"]["image_size"]
        pixels = torch.linspace(-2, 2, 3 * size * size).sin().reshape(1, 3, size, size)
        hidden = model(pixels, output_hidden_states=True).hidden_states[whole["vision_feature_layer"]][:, 1:]
    scale = torch.linspace(-1, 1, hidden.numel()).reshape(hidden.shape)
    (hidden * scale).sum().backward()
    tensors = {"grad." + name: p.grad for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    save_file({"hidden": hidden.detach()[0].contiguous(), **{k: v.contiguous() for k, v in tensors.items()}}, target / "golden.safetensors")
    json.dump({"model": folder.parent.name, "kind": kind}, open(target / "golden.json", "w"))
    tidy(target)
    print(target.name, hidden.shape, len(tensors))


CASES = {f"gpt2-{kind}": lambda kind=kind: single(kind) for kind in KINDS}
CASES |= {f"gpt2-stack-{kind}": lambda kind=kind: several(composition.Stack, kind) for kind in ("houlsby",)}
CASES |= {f"gpt2-fuse-{kind}": lambda kind=kind: several(composition.Fuse, kind) for kind in ("pfeiffer",)}
CASES |= {f"{what}-{kind}": lambda kind=kind, what=what: part(kind, what)
          for what, kind in (("llama", "houlsby"), ("llama", "pfeiffer"), ("clip", "houlsby"), ("bert", "houlsby"), ("bert", "pfeiffer"), ("bert", "parallel"))}
for name, make in CASES.items():
    if not sys.argv[1:] or name in sys.argv[1:]: make()
