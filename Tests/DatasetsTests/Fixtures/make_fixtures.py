"""Writes the fixtures beside this file: a tiny tokenizer, picture files, records, and what transformers makes of them.

    python make_fixtures.py        # transformers 5.23, tokenizers, torch, pillow

expected.json: for each chat template and record the rendered text, input_ids, labels (-100 where masked) and pixel values.
"""
import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import CLIPImageProcessorPil, LlavaProcessor, PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
SPECIAL = ["<s>", "</s>", "<image>", "<|user|>", "<|assistant|>", "<|system|>"]
CONTENT = "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
TEMPLATES = {
    "plain": "{% for m in messages %}<|{{ m['role'] }}|>" + CONTENT +
             "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "generation": "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {% if m['role'] == 'assistant' %}{% generation %}" + CONTENT +
                  "{{ eos_token }}{% endgeneration %}{% else %}" + CONTENT + "{% endif %}\n{% endfor %}"
                  "{% if add_generation_prompt %}assistant: {% endif %}",
}
RECORDS = [
    {"id": "one", "image": "wide.png", "conversations": [
        {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A  wide   picture."}]},
    {"id": "two", "image": ["tall.jpg", "wide.png"], "conversations": [
        {"from": "system", "value": "Be brief."}, {"from": "human", "value": "Is <image> or <image> tall?"},
        {"from": "gpt", "value": "The first. 🙂"}, {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": " Ja, größer "}]},
    {"id": "text", "conversations": [{"from": "human", "value": "What is 2 + 2?"}, {"from": "gpt", "value": "4"}]},
    {"id": "early", "image": "tall.jpg", "conversations": [
        {"from": "gpt", "value": "Show me."}, {"from": "human", "value": "<image>"}, {"from": "gpt", "value": "Thank you.\n"}]},
]
ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


def tokenizer():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    corpus = [turn["value"] for record in RECORDS for turn in record["conversations"]] + ["user: ", "assistant: ", "system: "]
    t.train_from_iterator(corpus * 2, trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])])
    return t


def pictures():
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0)
    Image.fromarray(noise.integers(0, 256, (5, 9, 3), dtype=np.uint8)).save(folder / "wide.png")
    smooth = Image.fromarray(noise.integers(0, 256, (4, 2, 3), dtype=np.uint8)).resize((10, 17), Image.BICUBIC)
    smooth.save(folder / "tall.jpg", quality=90)
    whole = (folder / "tall.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[:len(whole) // 2])


def messages(record):
    def parts(text):
        found = []
        for number, piece in enumerate(text.split("<image>")):
            found += [{"type": "image"}] * (number > 0) + [{"type": "text", "text": piece}] * bool(piece)
        return found
    return [{"role": ROLES[t["from"]], "content": parts(t["value"])} for t in record["conversations"]]


def expected(processor, record, template):
    names = record.get("image", [])
    names = [names] if isinstance(names, str) else names
    images, talk = [Image.open(HERE / "images" / name) for name in names], messages(record)
    text = processor.apply_chat_template(talk)
    inputs = processor(text=text, images=images or None, return_offsets_mapping=True,
                       add_special_tokens=not text.startswith("<s>"))
    ids, offsets = inputs["input_ids"][0], inputs["offset_mapping"][0]
    ids, offsets = [int(i) for i in ids], [tuple(int(x) for x in o) for o in offsets]
    if "generation %}" in template:
        queue = iter(images)
        for message in talk:
            for part in message["content"]:
                if part["type"] == "image": part["image"] = next(queue)
        full = processor.apply_chat_template(talk, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        assert [int(i) for i in full["input_ids"][0]] == ids
        mask = [bool(m) for m in full["assistant_masks"][0]]
    else:  # from the end of the generation prompt through the end token of each answer, in the expanded text
        widen = lambda s: s.replace("<image>", "<image>" * 4)
        spans = []
        for n, message in enumerate(talk):
            if message["role"] == "assistant":
                before = widen(processor.apply_chat_template(talk[:n], add_generation_prompt=True)) if n else "<|assistant|>"
                spans.append((len(before), len(widen(processor.apply_chat_template(talk[:n + 1])))))
        mask = [any(a < end and b > start for start, end in spans) for a, b in offsets]
    labels = [i if m and i != processor.image_token_id else -100 for i, m in zip(ids, mask)]
    pixels = [p for image in images for p in processor.image_processor(images=image, return_tensors="np")["pixel_values"][0].ravel().tolist()]
    return {"text": text, "input_ids": ids, "labels": labels, "pixel_values": pixels}


def main():
    pictures()
    t = tokenizer()
    t.save(str(HERE / "tokenizer.json"))
    with open(HERE / "records.jsonl", "w", encoding="utf-8") as out:
        for record in RECORDS: out.write(json.dumps(record, ensure_ascii=False) + "\n")
    size = dict(height=4, width=4)
    image_processor = CLIPImageProcessorPil(size=dict(shortest_edge=4), crop_size=size)
    image_processor.save_pretrained(HERE)
    results = {}
    for name, template in TEMPLATES.items():
        fast = PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="</s>")
        processor = LlavaProcessor(image_processor=image_processor, tokenizer=fast, patch_size=2, vision_feature_select_strategy="full",
                                   num_additional_image_tokens=0, chat_template=template)
        results[name] = {"template": template, "records": [expected(processor, r, template) for r in RECORDS]}
    (HERE / "expected.json").write_text(json.dumps(results, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
