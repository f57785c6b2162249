"""Writes the goldens: tiny model folders made by transformers, pictures, records, and what transformers and PEFT compute from them.

    python make_goldens.py [NAME ...]        # into Fixtures/ beside this file; no NAME: everything
    python make_goldens.py --curve [NAME ...]  # only curve.json, from the models and adapters that are there

README.md describes what is written. Everything is float32, on one thread, with eager attention and fixed seeds.
"""
import json, math, os, platform, shutil, sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "Fixtures"

import numpy as np
import peft, PIL, safetensors, tokenizers, torch, transformers
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (CLIPImageProcessorPil, CLIPVisionConfig, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlavaConfig,
                          LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast, Qwen2Config, SiglipImageProcessorPil,
                          SiglipVisionConfig, get_cosine_schedule_with_warmup)

from reference import Reference, read_records, supervised, token_losses

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

# ---------------------------------------------------------------------------------------------------------------- pictures and records

PICTURES = {  # name: (width, height, how it is saved)
    "00-wide.jpg": (64, 40, dict(quality=90, subsampling=2)), "01-tall.jpg": (33, 57, dict(quality=85, subsampling=0)),
    "02-exact.jpg": (28, 28, dict(quality=95, subsampling=0)), "03-small.jpg": (19, 23, dict(quality=90, subsampling=2)),
    "04-grey.jpg": (45, 31, dict(quality=90)), "05-odd.jpg": (97, 61, dict(quality=75, subsampling=1)),
    "06-alpha.png": (36, 52, {}), "07-palette.png": (50, 35, {}), "08-turned.jpg": (60, 36, dict(quality=90, subsampling=2)),
    "09-progressive.jpg": (71, 48, dict(quality=80, subsampling=2, progressive=True)), "10-square.jpg": (56, 56, dict(quality=90, subsampling=1)),
    "11-long.jpg": (120, 30, dict(quality=88, subsampling=2)),
}


def make_pictures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    for name, (width, height, options) in PICTURES.items():
        channels = 4 if "alpha" in name else 3
        coarse = generator.integers(0, 256, (max(2, height // 8), max(2, width // 8), channels), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
        if "grey" in name: picture = picture.convert("L")
        if "palette" in name: picture = picture.quantize(24)
        if "turned" in name:
            options = dict(options, exif=Image.Exif())
            options["exif"][0x0112] = 6  # orientation: the picture stands on its side
        picture.save(folder / name, **options)


def turns(*texts, system=None):
    spoken = [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(texts)]
    return ([{"from": "system", "value": system}] if system else []) + spoken


TEXT_RECORDS = [
    turns("Name three colours.", "Red, green and blue."),
    turns("What is 12 + 30?", "12 + 30 = 42.", "And twice that?", "It's 84."),
    turns("Write a haiku about rain.", "Rain on the old roof,\na slow drum under the leaves;\nthe garden listens."),
    turns("Who are you?", "A small model, über-tiny. 🙂", system="You answer in few words."),
]
RECORDS = [
    ("00-wide.jpg", turns("<image>\nWhat is in the picture?", "A wide field of colours.")),
    ("01-tall.jpg", turns("<image>\nIs it tall or wide?", "It is tall.", "How do you know?", "Its height is 57 and its width is 33.")),
    ("02-exact.jpg", turns("Look at this: <image> and tell me what you see.", "Soft patches, nothing more.")),
    (["03-small.jpg", "04-grey.jpg"], turns("<image>\n<image>\nWhich picture has no colour?", "The second one.")),
    ("05-odd.jpg", turns("What is this?\n<image>", "I can't say; it's blurred.")),
    ("06-alpha.png", turns("<image>\nDescribe the edges.", "They fade away.", system="Be brief.")),
    (None, TEXT_RECORDS[0]),
    (None, TEXT_RECORDS[1]),
    (None, TEXT_RECORDS[2]),
    (None, TEXT_RECORDS[3]),
    ("07-palette.png", turns("Hello!", "Hello. Show me a picture.", "Here: <image>", "Thank you. It has few colours.")),
    ("08-turned.jpg", turns("<image>\nWas it turned?", "Yes, by a quarter.")),
    (["09-progressive.jpg", "10-square.jpg"], turns("First <image> then <image>: which is square?", "The one after the first.", "Sure?", "Yes.")),
    ("11-long.jpg", turns("<image>\n¿Qué ves? 何が見えますか", "Una línea larga, 長い線。")),
]
EXTRA_TEXT = [turns("Say hello.", "Hello!"), turns("Count to five.", "1, 2, 3, 4, 5.", "Backwards?", "5, 4, 3, 2, 1.")]


def make_records():
    def write(path, rows):
        with open(path, "w", encoding="utf-8") as out:
            for number, (image, conversation) in enumerate(rows):
                out.write(json.dumps({"id": f"r{number:02}", **({"image": image} if image else {}), "conversations": conversation}, ensure_ascii=False) + "\n")
    write(FIXTURES / "train.jsonl", RECORDS)
    write(FIXTURES / "text.jsonl", [(None, conversation) for conversation in TEXT_RECORDS + EXTRA_TEXT])


# ---------------------------------------------------------------------------------------------------------------------------- tokenizers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CORPUS = [turn["value"] for _, conversation in RECORDS for turn in conversation] + [
    "the picture shows a small red house and a tall green tree", "what is the colour of the house in the picture?",
    "there is nothing in the image but light and shadow", "I can see that it is wide, and that the other one is tall",
    "system user assistant", "Describe the image. It is a picture of the sea, the sky and the shore."]


def byte_level_tokenizer(vocabulary, special, split=None, normalizer=None, after=None):
    tokenizer = Tokenizer(models.BPE(ignore_merges=split == LLAMA3))
    if normalizer: tokenizer.normalizer = normalizer
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None, trim_offsets=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"), level]) if split else level
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    tokenizer.post_processor = after(tokenizer) if after else processors.ByteLevel(trim_offsets=False)
    return tokenizer


def with_bos(bos):
    return lambda tokenizer: processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])])


CONTENT = "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
TEMPLATES = {
    "plain": "{% for m in messages %}<|{{ m['role'] }}|>" + CONTENT + "{% if m['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
             "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "chatml": "{%- for m in messages %}\n{{- '<|im_start|>' + m['role'] + '\\n' }}\n{%- if m['role'] == 'assistant' %}\n{%- generation %}\n" +
              CONTENT.replace("{% ", "{%- ", 1) + "{{- '<|im_end|>' }}\n{%- endgeneration %}\n{%- else %}\n" + CONTENT.replace("{% ", "{%- ", 1) + "{{- '<|im_end|>' }}\n{%- endif %}\n"
              "{{- '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n{{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
    "vicuna": "{% for m in messages %}{% if m['role'] == 'system' %}" + CONTENT + " {% elif m['role'] == 'user' %}USER: " + CONTENT + " {% else %}ASSISTANT: " + CONTENT +
              "{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}",
    "lines": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
             "{% if add_generation_prompt %}assistant:{% endif %}",
}

# -------------------------------------------------------------------------------------------------------------------------------- models


def randomise(model, seed):
    """Weights large enough to matter: matrices N(0, 1/fan_in), embeddings N(0, 0.3²), norm weights near 1, biases N(0, 0.1²)."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        owner = model.get_submodule(name.rpartition(".")[0])
        if "Norm" in type(owner).__name__: noise = (1 if name.endswith("weight") else 0) + 0.1 * noise
        elif name.endswith("bias"): noise *= 0.1
        elif isinstance(owner, torch.nn.Embedding) or parameter.ndim < 2: noise *= 0.3
        elif type(owner).__name__ == "Conv1D": noise *= parameter.shape[0] ** -0.5
        else: noise *= (parameter.numel() // parameter.shape[0]) ** -0.5
        parameter.data.copy_(noise)
    model.tie_weights()
    return model


def save_llava(folder, vision, text, tokenizer, special, image_processor, template, seed, save={}, **config):
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=TEMPLATES[template], **special)
    count = (vision.image_size // vision.patch_size) ** 2
    llava = LlavaConfig(vision_config=vision, text_config=text, image_token_index=fast.convert_tokens_to_ids("<image>"), image_seq_length=count, **config)
    model = randomise(LlavaForConditionalGeneration._from_config(llava), seed)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = fast.eos_token_id, fast.pad_token_id
    model.to(save.get("dtype", torch.float32)).save_pretrained(folder, **{k: v for k, v in save.items() if k != "dtype"})
    strategy = llava.vision_feature_select_strategy
    LlavaProcessor(image_processor=image_processor, tokenizer=fast, patch_size=vision.patch_size, vision_feature_select_strategy=strategy,
                   num_additional_image_tokens=int(vision.model_type == "clip_vision_model"), chat_template=TEMPLATES[template]).save_pretrained(folder)


def ids_of(tokenizer, **names):
    return {f"{name}_token_id": tokenizer.token_to_id(token) if token else None for name, token in names.items()}


def build_clip_llama(folder):
    special = ["<image>", "<|user|>", "<|assistant|>", "<|end|>"]
    tokenizer = byte_level_tokenizer(336, special, LLAMA3)
    save_llava(folder,
        CLIPVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=28, patch_size=7, hidden_act="quick_gelu", projection_dim=32),
        LlamaConfig(vocab_size=336, hidden_size=48, intermediate_size=48, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, rms_norm_eps=1e-5,
                    max_position_embeddings=512, tie_word_embeddings=False, **ids_of(tokenizer, bos=None, eos="<|end|>", pad="<|end|>"),
                    rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)),
        tokenizer, dict(eos_token="<|end|>", pad_token="<|end|>", additional_special_tokens=special),
        CLIPImageProcessorPil(size=dict(shortest_edge=28), crop_size=dict(height=28, width=28)), "plain", SEEDS["llava-clip-llama"],
        projector_hidden_act="gelu", vision_feature_layer=-2, vision_feature_select_strategy="default", tie_word_embeddings=False)


def build_siglip_qwen2(folder):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
    tokenizer = byte_level_tokenizer(330, special, QWEN2, normalizers.NFC())
    save_llava(folder,
        SiglipVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=7, hidden_act="gelu_pytorch_tanh"),
        Qwen2Config(vocab_size=336, hidden_size=48, intermediate_size=48, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, rms_norm_eps=1e-6,
                    max_position_embeddings=512, tie_word_embeddings=True, **ids_of(tokenizer, bos=None, eos="<|im_end|>", pad="<|endoftext|>"),
                    rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
        tokenizer, dict(eos_token="<|im_end|>", pad_token="<|endoftext|>", additional_special_tokens=special),
        SiglipImageProcessorPil(size=dict(height=28, width=28), image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3), "chatml", SEEDS["llava-siglip-qwen2"],
        projector_hidden_act="gelu", vision_feature_layer=-1, vision_feature_select_strategy="full", tie_word_embeddings=True)


def build_list(folder):
    special = ["<unk>", "<s>", "</s>", "<image>"]
    tokenizer = byte_level_tokenizer(320, special, after=with_bos("<s>"))
    save_llava(folder,
        CLIPVisionConfig(hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4, image_size=28, patch_size=14, hidden_act="gelu", projection_dim=24),
        LlamaConfig(vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, rms_norm_eps=1e-5,
                    max_position_embeddings=512, tie_word_embeddings=True, **ids_of(tokenizer, bos="<s>", eos="</s>", pad="<unk>"),
                    rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        tokenizer, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>", additional_special_tokens=["<image>"]),
        CLIPImageProcessorPil(size=dict(shortest_edge=34), crop_size=dict(height=28, width=28)), "vicuna", SEEDS["llava-list"],
        save=dict(dtype=torch.bfloat16, max_shard_size="40KB"),
        projector_hidden_act="gelu", vision_feature_layer=[-2, -3], vision_feature_select_strategy="default", multimodal_projector_bias=False, tie_word_embeddings=True)


def build_gpt2(folder):
    end = "<|endoftext|>"
    tokenizer = byte_level_tokenizer(320, [end])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end, pad_token=end, unk_token=end, chat_template=TEMPLATES["lines"])
    identity = tokenizer.token_to_id(end)
    config = GPT2Config(vocab_size=320, n_positions=96, n_embd=48, n_layer=2, n_head=4, n_inner=96, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                        bos_token_id=identity, eos_token_id=identity, pad_token_id=identity)
    randomise(GPT2LMHeadModel(config), SEEDS["gpt2"]).save_pretrained(folder)
    fast.save_pretrained(folder)


MODELS = {"llava-clip-llama": build_clip_llama, "llava-siglip-qwen2": build_siglip_qwen2, "llava-list": build_list, "gpt2": build_gpt2}
SEEDS = {"llava-clip-llama": 52, "llava-siglip-qwen2": 48, "llava-list": 49, "gpt2": 1}  # with these, greedy text is varied and no choice is close
CURVES = ["llava-clip-llama", "llava-siglip-qwen2"]
LINEAR = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj"
LLAVA_PROMPTS = [(["00-wide.jpg"], "<image>\nWhat is in the picture?"), ([], "Name three colours."), (["06-alpha.png", "02-exact.jpg"], "First <image> then <image>: which is square?")]
GPT2_PROMPTS = [([], "Name three colours."), ([], "Say hello."), ([], "What is 12 + 30? ü🙂")]

# ------------------------------------------------------------------------------------------------------------------------------- figures


FULL_LOGITS, ROWS = ("llava-clip-llama", 2), 3  # where every row of logits is kept; how many supervised rows elsewhere


def hub_name(name):
    """The name of a parameter in the layout of the Hub (transformers up to 4.51)."""
    for new, old in (("model.language_model.", "language_model.model."), ("lm_head.", "language_model.lm_head."),
                     ("model.vision_tower.", "vision_tower.vision_model."), ("model.multi_modal_projector.", "multi_modal_projector.")):
        if name.startswith(new): return old + name.removeprefix(new)
    return name.removeprefix("transformer.")


def adapter_key(name):
    """The name that a trained parameter has in adapter_model.safetensors."""
    return name.replace(".modules_to_save.default", "").replace(".default", "")


def part_of(name):
    return "vision" if "vision_tower" in name else "projector" if "multi_modal_projector" in name else "language"


def base_figures(name, reference, samples, tensors):
    """Logits, losses and the gradients of every parameter, the records one at a time and without padding."""
    model, left = reference.model()
    assert not left, left
    counts = [supervised(sample["labels"]) for sample in samples]
    total, records, tap = sum(counts), [], {}
    if reference.sees:
        projector = model.model.multi_modal_projector
        projector.register_forward_hook(lambda _, inputs, output: tap.update(features=inputs[0].detach(), projected=output.detach()))
    for number, sample in enumerate(samples):
        inputs, labels = reference.batch([sample])
        logits = model(**inputs).logits
        losses = token_losses(logits, labels)
        assert math.isclose(losses.sum().item(), model(**inputs, labels=labels).loss.item() * counts[number], rel_tol=1e-5)
        (losses.sum() / total).backward()
        rows = [position for position in range(len(sample["labels"]) - 1) if sample["labels"][position + 1] != -100]
        assert len(rows) == counts[number] > 0
        if number == 0 and tap:
            tensors["debug.0.features"], tensors["debug.0.projected"] = tap["features"], tap["projected"]
        kept = list(range(len(sample["labels"]))) if (name, number) == FULL_LOGITS else rows[:ROWS]
        tensors[f"logits.{number:02}"] = logits[0, kept].detach()
        tensors[f"nll.{number:02}"] = losses[0, rows].detach()
        records.append({"text": sample["text"], "spans": sample["spans"], "images": sample["images"], "input_ids": sample["input_ids"], "labels": sample["labels"],
                        "logits_rows": kept, "nll_rows": rows,
                        "nll": losses.double().sum().item(), "tokens": counts[number]})
    gradients, without, names = {}, [], {}
    for key, parameter in model.named_parameters():
        names[key] = hub_name(key)
        if parameter.grad is None: without.append(key); continue
        gradients[key] = parameter.grad.double().norm().item()
        if name != "llava-list" or part_of(key) != "language": tensors["grad." + key] = parameter.grad
    return {"records": records, "loss": sum(r["nll"] for r in records) / total, "supervised_tokens": total,
            "gradient_norms": gradients, "without_gradient": without, "hub_names": names}


def train(reference, model, samples, setting, tensors=None, prefix=""):
    """Optimizer steps over the records in file order, cyclic; one line of figures a step."""
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    def decays(name):
        return not name.endswith("bias") and "Norm" not in type(model.get_submodule(name.rpartition(".")[0])).__name__
    groups = []
    for part, options in setting["parts"].items():
        for decay in (True, False):
            members = [p for name, p in trainable.items() if part_of(name) == part and decays(name) == decay]
            if members: groups.append({"params": members, "lr": options["learning_rate"], "weight_decay": options["weight_decay"] if decay else 0.0, "part": part})
    assert sum(len(group["params"]) for group in groups) == len(trainable)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    warmup = math.ceil(setting["warmup_ratio"] * setting["steps"])
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup, setting["steps"])
    model.train()
    size, micro, cursor, lines = setting["global_batch"], setting["micro_batch"], 0, []
    for step in range(1, setting["steps"] + 1):
        indices = [(cursor + offset) % len(samples) for offset in range(size)]
        cursor += size
        chosen = [samples[index] for index in indices]
        total, loss = sum(supervised(sample["labels"]) for sample in chosen), 0.0
        for start in range(0, size, micro):
            inputs, labels = reference.batch(chosen[start : start + micro])
            losses = token_losses(model(**inputs).logits, labels).sum()
            (losses / total).backward()
            loss += losses.item()
        by_part = {part: sum(float(p.grad.double().square().sum()) for n, p in trainable.items() if part_of(n) == part and p.grad is not None) ** 0.5 for part in setting["parts"]}
        if tensors is not None and step == 1:
            tensors.update({prefix + adapter_key(name): p.grad.clone() for name, p in trainable.items() if p.grad is not None})
        rates = {group["part"]: group["lr"] for group in optimizer.param_groups}
        norm = torch.nn.utils.clip_grad_norm_(list(trainable.values()), setting["clip_norm"], foreach=False).item()
        lines.append({"step": step, "records": indices, "loss": loss / total, "grad_norm": norm, "grad_norms": by_part, "learning_rates": rates, "supervised_tokens": total,
                      "tokens": sum(len(sample["input_ids"]) for sample in chosen), "images": sum(len(sample["images"]) for sample in chosen),
                      "not_updated": [adapter_key(name) for name, p in trainable.items() if p.grad is None]})
        optimizer.step(); schedule.step(); optimizer.zero_grad(set_to_none=True)
    return lines, trainable


def save_adapter(model, folder):
    for setting in model.peft_config.values(): setting.base_model_name_or_path = "../model"
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    for key in ("target_modules", "modules_to_save"):  # sets: their order changes from run to run
        if isinstance(config.get(key), list): config[key].sort()
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
    (folder / "README.md").unlink(missing_ok=True)


def lora_run(reference, folder, samples, tensors):
    """Twelve steps of LoRA on the language model beside a fully trained projector, from the adapter in adapter_init."""
    setting = {"steps": 12, "global_batch": 4, "micro_batch": 2, "warmup_ratio": 0.25, "clip_norm": 1.0,
               "parts": {"projector": {"train": "full", "learning_rate": 1e-3, "weight_decay": 0.01}, "language": {"train": "lora", "learning_rate": 2e-3, "weight_decay": 0.0}}}
    lora = dict(r=4, lora_alpha=8, lora_dropout=0.0)
    if reference.sees: lora.update(target_modules=rf".*language_model.*\.({LINEAR})", modules_to_save=["multi_modal_projector"])
    else: lora.update(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True, task_type="CAUSAL_LM"); del setting["parts"]["projector"]
    torch.manual_seed(11)
    start = get_peft_model(reference.model()[0], LoraConfig(**lora))
    for name, parameter in start.named_parameters():
        if not parameter.requires_grad: continue
        if "lora_B" in name: parameter.data.normal_(0.0, 0.05)
        elif "modules_to_save" in name: parameter.data.add_(0.02 * torch.randn(parameter.shape))
    save_adapter(start, folder / "adapter_init")
    model = PeftModel.from_pretrained(reference.model()[0], folder / "adapter_init", is_trainable=True)
    wanted = {name: p for name, p in start.named_parameters() if p.requires_grad}
    found = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert wanted.keys() == found.keys() and all(torch.equal(p, found[name]) for name, p in wanted.items())
    assert all("lora_" in name and part_of(name) == "language" or "multi_modal_projector" in name for name in found)
    lines, _ = train(reference, model, samples, setting, tensors, "lora_grad.")
    save_adapter(model, folder / "adapter_final")
    model.eval()
    with torch.no_grad():
        after = [token_losses(model(**inputs).logits, labels).double().sum().item() for inputs, labels in (reference.batch([s]) for s in samples)]
    trained, everything = model.get_nb_trainable_parameters()
    once = sum(p.numel() for n, p in model.named_parameters() if "original_module" not in n)  # PEFT counts what modules_to_save replaces as well
    return {"setting": setting, "lora": {k: v for k, v in lora.items()}, "trainable_parameters": trained, "all_parameters": once, "all_parameters_in_peft": everything,
            "steps": lines, "nll_after": after}


def curve_run(reference, folder, samples):
    """The loss of fifty steps from the adapter in adapter_init, every record in each step: what bfloat16 is held against."""
    setting = {"steps": 50, "global_batch": len(samples), "micro_batch": 2, "warmup_ratio": 0.03, "clip_norm": 1.0,
               "parts": {"projector": {"train": "full", "learning_rate": 1e-3, "weight_decay": 0.0}, "language": {"train": "lora", "learning_rate": 2e-3, "weight_decay": 0.0}}}
    model = PeftModel.from_pretrained(reference.model()[0], folder / "adapter_init", is_trainable=True)
    lora = json.loads((folder / "adapter_init" / "adapter_config.json").read_text())
    lines, _ = train(reference, model, samples, setting)
    return {"versions": versions(), "setting": setting, "lora": {key: lora[key] for key in ("r", "lora_alpha", "target_modules")},
            "steps": [{key: line[key] for key in ("step", "loss", "grad_norm", "supervised_tokens", "tokens", "images")} for line in lines]}


def full_run(reference, samples):
    """Three steps of training everything, with one rate for each part."""
    setting = {"steps": 3, "global_batch": 4, "micro_batch": 2, "warmup_ratio": 0.0, "clip_norm": 1.0, "parts": {
        "vision": {"train": "full", "learning_rate": 1e-4, "weight_decay": 0.01}, "projector": {"train": "full", "learning_rate": 1e-3, "weight_decay": 0.01},
        "language": {"train": "full", "learning_rate": 5e-4, "weight_decay": 0.01}}}
    model, _ = reference.model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    lines, trained = train(reference, model, samples, setting)
    return {"setting": setting, "steps": lines, "change_norms": {name: (p.detach() - before[name]).double().norm().item() for name, p in trained.items()}}


def greedy(reference, images, prompts):
    """Sixteen greedy tokens for each prompt; that EOS is held back makes no difference to them."""
    model, _ = reference.model()
    texts = []
    for names, prompt in prompts:
        text = reference.render(reference.messages({"conversations": turns(prompt)}), prompt=True)
        pictures = [reference.pixels(images / name)[1] for name in names]
        ids = reference.tokenizer(reference.expand(text, [])[0], return_tensors="pt")["input_ids"]
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **({"pixel_values": torch.stack(pictures)} if pictures else {})}
        with torch.no_grad():
            out = model.generate(**inputs, do_sample=False, max_new_tokens=16, min_new_tokens=16)[0, ids.shape[1]:].tolist()
            sequence, margin = ids, math.inf
            for token in out:  # again without a cache and without holding anything back
                now = model(**{**inputs, "input_ids": sequence, "attention_mask": torch.ones_like(sequence)}).logits[0, -1]
                best = now.topk(2)
                assert best.indices[0] == token, "the greedy token is EOS: choose another seed"
                margin = min(margin, (best.values[0] - best.values[1]).item())
                sequence = torch.cat([sequence, torch.tensor([[token]])], 1)
        special = set(reference.tokenizer.all_special_ids)
        assert not special & set(out), "a special token among the generated ones: choose another seed"
        texts.append({"prompt": prompt, "images": names, "rendered": text, "input_ids": ids[0].tolist(), "new_ids": out,
                      "text": reference.tokenizer.decode(out, skip_special_tokens=True, clean_up_tokenization_spaces=False), "smallest_margin": margin})
    return texts


def versions():
    return {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
            "tokenizers": tokenizers.__version__, "safetensors": safetensors.__version__, "pillow": PIL.__version__, "numpy": np.__version__}


def make(name):
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    MODELS[name](folder / "model")
    reference, images, tensors = Reference(folder / "model"), FIXTURES / "images", {}
    raw = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
    records_file = "train.jsonl" if reference.sees else "text.jsonl"
    samples = [reference.encode(record, images) for record in read_records(FIXTURES / records_file)]
    for sample in samples:  # the tokenizer file alone says the same
        assert raw.encode(reference.expand(sample["text"], [])[0]).ids == sample["input_ids"]
    if reference.sees:
        for picture in PICTURES:
            tensors["pixels_u8." + picture], normalised = reference.pixels(images / picture)
            if picture == "00-wide.jpg" and name != "llava-list": tensors["pixels." + picture] = normalised
    golden = {"versions": versions(), "records_file": records_file, **base_figures(name, reference, samples, tensors)}
    if name != "llava-list": golden["lora"] = lora_run(reference, folder, samples, None if name == "llava-siglip-qwen2" else tensors)
    if name == "llava-siglip-qwen2": golden["full"] = full_run(reference, samples)
    golden["greedy"] = greedy(reference, images, LLAVA_PROMPTS if reference.sees else GPT2_PROMPTS)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "golden.safetensors")
    with open(folder / "golden.json", "w", encoding="utf-8") as out:
        json.dump(golden, out, ensure_ascii=False, separators=(",", ":"))
    if name in CURVES: make_curve(name)
    for path in folder.rglob("*.safetensors"): path.chmod(0o644)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{name}: loss {golden['loss']:.6f} over {golden['supervised_tokens']} tokens, {size} bytes")


def make_curve(name):
    folder = FIXTURES / name
    reference = Reference(folder / "model")
    curve = curve_run(reference, folder, [reference.encode(record, FIXTURES / "images") for record in read_records(FIXTURES / "train.jsonl")])
    with open(folder / "curve.json", "w", encoding="utf-8") as out:
        json.dump(curve, out, separators=(",", ":"))
    print(f"{name}: loss from {curve['steps'][0]['loss']:.4f} to {curve['steps'][-1]['loss']:.4f} in {len(curve['steps'])} steps")


def main(names):
    if names[:1] == ["--curve"]:
        for name in names[1:] or CURVES: make_curve(name)
        return
    FIXTURES.mkdir(exist_ok=True)
    make_pictures(FIXTURES / "images")
    make_records()
    for name in names or MODELS: make(name)


if __name__ == "__main__":
    main(sys.argv[1:])
