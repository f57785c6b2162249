"""Makes the fixtures of BERT's tokenizer with `tokenizers` and `transformers`.

    python make_bert.py    writes bert.tokenizer.json, bert.cases.json, bert.pairs.json and the folder bert-cased/ beside this file

A pair case is {"text", "pair" (null: one text), "max_length" (null: no limit), "ids", "types"}; "bert.pairs.json" holds them under
"file" (tokenizer.json), "vocabulary" (the same tokens from vocab.txt) and "cased" (bert-cased/: its own settings and special tokens).
"""

import json
import os
import random
import shutil
import tempfile

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertTokenizer

from make_tokenizers import CORPUS, HERE, TEXTS, case, random_decoding, random_text

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MORE = ["unaffable", "[CLS] written out [SEP]", "a [MASK] b [mask] c[MASK]d", "x" * 100, "x" * 101, "é" * 100, "é" * 101, "[UNK]", "caf\u00e9 cafe\u0301 CAFÉ", "don't-stop: it's #1!",
        "\u0130stanbul \u1e9e", "中文字符 mixed 文", "\u3400\u4dbf\U00020000 \uf900 か"]


def uncased():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=600, special_tokens=SPECIALS, show_progress=False))
    cls, sep = t.token_to_id("[CLS]"), t.token_to_id("[SEP]")
    t.post_processor = processors.TemplateProcessing(single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    t.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return t


def pairs(tokenizer):
    rng = random.Random(5)
    found = []
    texts = [t for t in TEXTS + MORE if len(t) < 160]
    for number in range(90):
        text = rng.choice(texts)
        pair = rng.choice(texts) if number % 3 else None
        limit = rng.choice([None, None, 4, 5, 6, 7, 8, 11, 16, 23]) if number > 10 else None
        # Lists, as data sets are tokenized: an empty second text is one too.
        encoded = tokenizer([text], None if pair is None else [pair], truncation=limit is not None, max_length=limit)
        found.append({"text": text, "pair": pair, "max_length": limit, "ids": encoded["input_ids"][0], "types": encoded["token_type_ids"][0]})
    return found


def write(name, value):
    with open(f"{HERE}/{name}", "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def main():
    tokenizer = uncased()
    tokenizer.save(f"{HERE}/bert.tokenizer.json", pretty=False)
    rng = random.Random(3)
    cases = [case(tokenizer, text) for text in TEXTS + MORE + [random_text(rng) for _ in range(40)]]
    for item in cases[:40]: item.update(random_decoding(tokenizer, rng))
    write("bert.cases.json", cases)
    vocabulary = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(f"{HERE}/bert.tokenizer.json", f"{folder}/tokenizer.json")
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast"}, open(f"{folder}/tokenizer_config.json", "w"))
        fast = AutoTokenizer.from_pretrained(folder)
        fast.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
        result["file"] = pairs(fast)
    with tempfile.TemporaryDirectory() as folder:
        open(f"{folder}/vocab.txt", "w", encoding="utf-8").write("\n".join(vocabulary) + "\n")
        json.dump({"tokenizer_class": "BertTokenizer"}, open(f"{folder}/tokenizer_config.json", "w"))
        result["vocabulary"] = pairs(BertTokenizer.from_pretrained(folder))
    folder = f"{HERE}/bert-cased"
    os.makedirs(folder, exist_ok=True)
    cased = ["<pad>", "[UNK]", "<cls>", "<sep>", "[MASK]"] + sorted({c for line in CORPUS[:5] for c in line if c != " "})
    cased += ["##" + c for c in sorted({c for line in CORPUS[:5] for c in line if c.isalpha()})] + ["the", "##ing", "free", "and", "Alle", "##en", "sch", "##ü", "Tous", "é", "##é"]
    cased = list(dict.fromkeys(cased))
    open(f"{folder}/vocab.txt", "w", encoding="utf-8").write("\n".join(cased) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False, "strip_accents": None,
                "cls_token": "<cls>", "sep_token": {"content": "<sep>", "__type": "AddedToken"}, "pad_token": "<pad>"}
    json.dump(settings, open(f"{folder}/tokenizer_config.json", "w"), indent=1)
    result["cased"] = pairs(BertTokenizer(vocab={token: index for index, token in enumerate(cased)}, do_lower_case=False, tokenize_chinese_chars=False, strip_accents=None,
                                          cls_token="<cls>", sep_token="<sep>", pad_token="<pad>"))
    write("bert.pairs.json", result)


if __name__ == "__main__":
    main()
