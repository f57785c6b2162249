"""How a record becomes token ids, labels and pixels with transformers, and what a model says of it.

A record is one line of a LLaVA JSONL file: {"id", "image": name or list (optional), "conversations": [{"from", "value"}]}.
"""
import json
import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor, AutoTokenizer, LlavaForConditionalGeneration
from transformers.image_utils import load_image
from transformers.utils.chat_template_utils import render_jinja_template

IGNORED = -100
GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


def read_records(path):
    return [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]


def image_names(record):
    images = record.get("image", [])
    return [images] if isinstance(images, str) else list(images)


def parts_of(text):
    """Cuts a turn at its <image> tags; everything else, line ends included, stays where it is."""
    parts = []
    for number, piece in enumerate(text.split("<image>")):
        if number: parts.append({"type": "image"})
        if piece: parts.append({"type": "text", "text": piece})
    return parts


class Reference:
    """A model folder with its tokenizer and, if it sees, its image processor."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.sees = AutoConfig.from_pretrained(self.folder).model_type == "llava"
        if self.sees:
            self.processor = AutoProcessor.from_pretrained(self.folder)
            self.tokenizer = self.processor.tokenizer
        else:
            self.processor, self.tokenizer = None, AutoTokenizer.from_pretrained(self.folder)
        self.template_owner = self.processor or self.tokenizer

    def model(self, **options):
        """The model in float32 with eager attention, and what its loading left over."""
        family = LlavaForConditionalGeneration if self.sees else AutoModelForCausalLM
        model, report = family.from_pretrained(self.folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **options)
        left = {key: sorted(map(str, value)) for key, value in report.items() if value}
        return model.eval(), left

    def messages(self, record):
        content = parts_of if self.sees else str
        return [{"role": ROLES[turn["from"]], "content": content(turn["value"])} for turn in record["conversations"]]

    def render(self, messages, prompt=False):
        return self.template_owner.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)

    def answers(self, messages):
        """The rendered conversation and the supervised character spans in it.

        With {% generation %}: what it encloses. Without: from the end of the generation prompt through the end-of-turn token.
        """
        whole = self.render(messages)
        template = self.template_owner.chat_template
        if GENERATION.search(template):
            _, spans = render_jinja_template([messages], chat_template=template, return_assistant_tokens_mask=True, **self.tokenizer.special_tokens_map)
            return whole, [tuple(span) for span in spans[0]]
        spans, end_of_turn = [], self.tokenizer.eos_token
        for turn, message in enumerate(messages):
            if message["role"] != "assistant": continue
            before, through = self.render(messages[:turn], prompt=True), self.render(messages[: turn + 1])
            assert through.startswith(before) and whole.startswith(through), "a template whose prefixes are not prefixes"
            end = through.rindex(end_of_turn) + len(end_of_turn)
            assert end > len(before) and not through[end:].strip(), "no end-of-turn token after the answer"
            spans.append((len(before), end))
        return whole, spans

    def pixels(self, path):
        """The picture after resizing and cropping ([H, W, 3] uint8) and after normalising ([3, H, W] float32)."""
        image, processor = load_image(str(path)), self.processor.image_processor
        raw = processor(images=image, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
        assert raw.dtype == torch.uint8
        return raw.permute(1, 2, 0).contiguous(), processor(images=image, return_tensors="pt")["pixel_values"][0].float()

    def expand(self, text, spans):
        """Repeats every image token to its number of tokens, and moves the character spans along."""
        if not self.sees: return text, spans
        processor, tag = self.processor, self.processor.image_token
        size = processor.image_processor.to_dict()
        size = size.get("crop_size") if size.get("do_center_crop") else size["size"]
        count = (size["height"] // processor.patch_size) * (size["width"] // processor.patch_size) + processor.num_additional_image_tokens
        if processor.vision_feature_select_strategy == "default": count -= 1
        moved = lambda at: at + text.count(tag, 0, at) * (count - 1) * len(tag)
        return text.replace(tag, tag * count), [(moved(a), moved(b)) for a, b in spans]

    def encode(self, record, images):
        """Token ids, labels (-100 where masked), pixel values and the text of a record."""
        text, spans = self.answers(self.messages(record))
        expanded, moved = self.expand(text, spans)
        bos = self.tokenizer.bos_token
        encoded = self.tokenizer(expanded, return_offsets_mapping=True, add_special_tokens=not (bos and expanded.startswith(bos)))
        ids, labels = encoded["input_ids"], [IGNORED] * len(encoded["input_ids"])
        for position, (start, end) in enumerate(encoded["offset_mapping"]):
            if any(start < b and a < end for a, b in moved):
                assert any(a <= start and end <= b for a, b in moved), "a token that straddles the edge of an answer"
                labels[position] = ids[position]
        names = image_names(record)
        pixels = torch.stack([self.pixels(Path(images) / name)[1] for name in names]) if names else None
        if self.sees: self.confirm(record, text, ids, labels, pixels, images)
        return {"text": text, "spans": spans, "input_ids": ids, "labels": labels, "images": names, "pixel_values": pixels}

    def confirm(self, record, text, ids, labels, pixels, images):
        """The processor's own way from the rendered text to ids and pixels must give the same, and so must its own mask."""
        pictures = [load_image(str(Path(images) / name)) for name in image_names(record)]
        theirs = self.processor(text=text, images=pictures or None, return_tensors="pt")
        assert theirs["input_ids"][0].tolist() == ids, (theirs["input_ids"][0].tolist(), ids)
        assert pixels is None or torch.equal(theirs["pixel_values"], pixels)
        assert self.processor.image_token_id not in labels
        if GENERATION.search(self.processor.chat_template):
            messages, queue = self.messages(record), list(pictures)
            for message in messages:
                for part in message["content"]:
                    if part["type"] == "image": part["image"] = queue.pop(0)
            full = self.processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True,
                                                      processor_kwargs={"return_tensors": "pt"})
            assert full["input_ids"][0].tolist() == ids
            mask = torch.as_tensor(full["assistant_masks"])[0].tolist()
            assert mask == [int(label != IGNORED) for label in labels], "the processor's own mask differs"

    def batch(self, samples):
        """Right-padded inputs of the model; padding is masked in attention and labels."""
        length = max(len(s["input_ids"]) for s in samples)
        pad = self.tokenizer.pad_token_id
        fill = lambda key, value: torch.tensor([s[key] + [value] * (length - len(s[key])) for s in samples])
        inputs = {"input_ids": fill("input_ids", pad),
                  "attention_mask": torch.tensor([[1] * len(s["input_ids"]) + [0] * (length - len(s["input_ids"])) for s in samples])}
        pixels = [s["pixel_values"] for s in samples if s["pixel_values"] is not None]
        if pixels: inputs["pixel_values"] = torch.cat(pixels)
        return inputs, fill("labels", IGNORED)


def supervised(labels):
    """How many labels count: those that remain after the shift by one."""
    return int((torch.as_tensor(labels)[..., 1:] != IGNORED).sum())


def token_losses(logits, labels):
    """-log p of every position's next label [B, T - 1]; zero where masked."""
    return torch.nn.functional.cross_entropy(logits[:, :-1].float().transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none")
