"""Makes the fixtures of the tokenizer tests with Hugging Face `tokenizers` 0.23.

    python make_tokenizers.py [NAME …]             writes <name>.tokenizer.json and <name>.cases.json beside this file
    python make_tokenizers.py fuzz SEED COUNT DIR  writes <name>.json with COUNT random texts for each tokenizer to DIR
    python make_tokenizers.py try DIR              writes <name>.cases.json beside every tokenizer <name>.json of DIR, for
                                                   MMDIST_TOKENIZERS=DIR swift test --filter testTokenizersOfAFolder

Offsets are converted from characters to bytes of UTF-8. A case is
{"text", "ids", "offsets": [start, end, start, end, …], "plain": ids without special tokens, "decoded", "skipped"}.
"""

import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))

CORPUS = """
All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.
Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.
Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.
Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.
Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.
人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.
يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلًا وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح الإخاء.
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi con người đều được tạo hoá ban cho lý trí và lương tâm.
def main(args):\n    for index, value in enumerate(args):\n        print(f"{index}: {value}")\n    return 0
I'm sure they're here; we've said it'll be 12345 or 1,000,000.50 and that's what you'd want. It's 3.14159!
the cat sat on the mat, and the dog ate the other hat. This is a question? This is an answer. 😀😁😂 👍🏽
<image>\nWhat is shown in this picture? A dog on a beach with a red ball. USER: ASSISTANT: system user assistant
""".strip().split("\n")

TEXTS = [
    "", " ", "  ", "   ", "\n", "\t", "a", "Hello, world!", " leading", "trailing ", "  both  ", "a  b   c    d",
    "I'm sure they're here; we've said it'll be what you'd want, 'tis 'S 'RE 'Ll don't DON'T o'clock ''s",
    "It’s “quoted” – with — dashes… and ‘these’",
    "1 12 123 1234 12345 123456 1234567 3.14 1,000,000 ½ ² ① ٣٤٥ १२३ Ⅷ 一二三 12a34 a12b",
    "line one\nline two\r\nline three\r\rline\n\n\nlast\n", "\r\n", "\n \n  \n\t\n", " \n", "a \n b", "x\n\n  y", "\t\ttabs\tand spaces \t ",
    "nbsp\u00a0between\u00a0\u00a0words", "ideographic\u3000space\u3000\u3000", "\u2003em\u2009thin\u200bzero\u2028line\u2029para\u0085nel",
    "\x0b\x0c\x1c\x1d\x1e\x1f", "nul\x00inside\x00\x00", "\x00", "\x01\x02\x7f\x80\x9f",
    "\ufeff", "\ufeffBOM first", "mid\ufeffdle", "\ue000\uf8ff private \U000f0000\U0010fffd", "\ufffd replacement \ufffd\ufffd", "\ufffe\uffff noncharacters",
    "人人生而自由，在尊严和权利上一律平等。", "中文和English混在一起123测试", "すべての人間は、生まれながらにして自由であり。ｶﾀｶﾅ　ｈａｌｆ", "모든 인간은 태어날 때부터 자유로우며", "\u1112\u1161\u11ab\u1100\u1173\u11af jamo 한글",
    "يولد جميع الناس أحرارًا متساوين", "שָׁלוֹם עוֹלָם", "सभी मनुष्यों को गौरव और क्षत्रिय", "มนุษย์ทั้งหลายเกิดมา น้ำ", "தமிழ் எழுத்து", "ሰላም ዓለም", "Ἀρχιμήδης ὁ Συρακούσιος", "Все люди рождаются свободными",
    "e\u0301 \u00e9 o\u0302\u0323 \u1ed9 a\u0323\u0302 A\u030a \u212b \u0344 \u0958", "Tất cả mọi người — nfd: Ta\u0302\u0301t ca\u0309 mo\u0323i",
    "\u0301leading mark", "a\u0328\u0301\u0302b q\u0307\u0323 \u0f73\u0f75 \u1100\u1161\u11a8", "ﬁ ﬂ ﬀ ㎏ ™ ² ½ Ⅳ ｱ ﷺ ǆ İI ı ß ẞ ΑΣ ς",
    "😀", "😀😁😂", "👍🏽 👩‍👩‍👧‍👦 👨🏿‍💻", "🇩🇪🇫🇷🇺🇸", "❤️ ☺️ 1️⃣ #️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "a😀b 😀 c", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚 𐍈",
    "<s>", "</s>", "<s><s>", "<s>Hello</s>", "a<s>b", " <s> ", "<s> x </s> y", "text<|endoftext|>more", "<|endoftext|><|endoftext|>", "  <|endoftext|>  ", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "<image>\nWhat is this?", "<image><image> two", "<imag", "<image", "< image >", "<start_of_turn>user\nHi<end_of_turn>\n", "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Ok </s><s>[INST] x [/INST]",
    "<mask>", "a <mask> b", "a<mask>b", "   <mask>   x", "WORD word xWORD WORDx WORD.", "solo soloist unsolo solo_ (solo) éSolo soloé", "Day day DAY yesterday DAYS", "<left>  <right>  <left><right>  x", "ab abc abcd abcde ab", "▁ ▁▁ a▁b ▁x x▁ ▁ ▁",
    "<0x0A> <0x41> <0xZZ> 0x0A", "Ġ Ċ Ġhello", "##ing ing## </w>", "https://example.com/a?b=c&d=%20#e f@g.com", "def f(x):\n    return x**2  # square\n\n\n\tif a != b: {}[]\\|`~",
    "snake_case camelCase PascalCase SCREAMING_CASE kebab-case", "!!! ... ??? ---- ==== ____", "a.b,c;d:e!f?g'h\"i(j)k[l]m{n}o", "áéíóú ÀÈÌÒÙ äöü ñ ç ø å æ œ", "ǅ Ǆ ŉ ΐ ﬃ \u1e9b\u0323",
    "x" * 300, " " * 150, "\n" * 70, "ab" * 120, "9" * 130, "好" * 90, "😀" * 60, "a " * 60, "é" * 100, "e\u0301" * 60, "\u00a0" * 50, "-" * 90, "The" * 50 + " end",
]


def byte_level_trainer(specials, size=700, **more):
    return trainers.BpeTrainer(vocab_size=size, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, **more)


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(CORPUS, byte_level_trainer([]))
    t.add_special_tokens([AddedToken("<|endoftext|>", normalized=True, special=True)])
    t.add_tokens([AddedToken("<image>", normalized=False)])
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.decoder = decoders.ByteLevel()
    return t


def roberta():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.train_from_iterator(CORPUS, byte_level_trainer(["<s>", "<pad>", "</s>"]))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")), trim_offsets=True, add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    return t


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator(CORPUS, byte_level_trainer([]))
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>")])
    bos = "<|begin_of_text|>"
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, t.token_to_id(bos))])])
    t.decoder = decoders.ByteLevel()
    # A word that no merge leads to.
    data = json.loads(t.to_str())
    data["model"]["vocab"]["Ġsolo"] = t.get_vocab_size()
    for token in data["added_tokens"]:
        token["id"] += 1
    data["post_processor"]["processors"][1]["special_tokens"][bos]["ids"][0] += 1
    ids = sorted(data["model"]["vocab"].values())
    data["model"]["vocab"]["Ġsolo"] = len(ids) - 1
    return Tokenizer.from_str(json.dumps(data))


def qwen2():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator(CORPUS, byte_level_trainer([]))
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    t.add_tokens([AddedToken("<image>", normalized=False, special=False)])
    t.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False)
    t.decoder = decoders.ByteLevel()
    return t


def sentencepiece(trained_with, specials=("<unk>", "<s>", "</s>"), size=900):
    """A BPE model with byte fallback, as the conversion from SentencePiece makes it."""
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.pre_tokenizer = trained_with
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    # Leave some characters out, so that bytes are needed.
    text = [line for line in CORPUS if not any(ord(c) > 0x0900 and ord(c) < 0x3000 or ord(c) > 0xABFF for c in line)]
    t.train_from_iterator(text, trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials) + bytes_, show_progress=False))
    data = json.loads(t.to_str())
    data["added_tokens"] = [x for x in data["added_tokens"] if x["content"] in specials]
    data["model"]["byte_fallback"] = True
    data["model"]["fuse_unk"] = True
    data["pre_tokenizer"] = None
    return data


def template(bos, id_):
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": bos, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {bos: {"id": bos, "ids": [id_], "tokens": [bos]}}}


def legacy_merges(data):
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]


def llama2():
    data = sentencepiece(pre_tokenizers.Metaspace(prepend_scheme="always"))
    data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    data["post_processor"] = template("<s>", 1)
    data["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    legacy_merges(data)
    return Tokenizer.from_str(json.dumps(data)), data


def llama2_metaspace():
    data = sentencepiece(pre_tokenizers.Metaspace(prepend_scheme="first", split=False))
    data["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    data["post_processor"] = template("<s>", 1)
    data["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    for x in data["added_tokens"]:
        x["normalized"] = False
    return Tokenizer.from_str(json.dumps(data))


def gemma():
    data = sentencepiece(pre_tokenizers.Metaspace(prepend_scheme="never"), specials=("<pad>", "<eos>", "<bos>", "<unk>"))
    data["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    data["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    data["post_processor"] = template("<bos>", 2)
    data["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    t = Tokenizer.from_str(json.dumps(data))
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in ("<start_of_turn>", "<end_of_turn>", "<image>")])
    t.add_tokens([AddedToken(x, normalized=False) for x in ("\n", "\n\n", "\n\n\n", "\t", "▁▁", "▁▁▁", "▁▁▁▁")])
    return t


CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip():
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CLIP), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.train_from_iterator(CORPUS, byte_level_trainer(["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>"))
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    return t


ODD_TOKENS = [
    AddedToken("WORD", single_word=True, normalized=False), AddedToken("solo", single_word=True, normalized=True),
    AddedToken("<left>", lstrip=True, normalized=False, special=True), AddedToken("<right>", rstrip=True, normalized=False, special=True),
    AddedToken("<mask>", lstrip=True, rstrip=True, normalized=True, special=True), AddedToken("Day", normalized=True),
    AddedToken("abc", normalized=False), AddedToken("abcde", normalized=False), AddedToken("ab", normalized=False), AddedToken("  ", normalized=False),
]


def words():
    """Words and unknowns: lower case without accents, ## between the parts of a word."""
    t = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation()])
    t.train_from_iterator(CORPUS[:4] + CORPUS[12:], trainers.BpeTrainer(vocab_size=500, special_tokens=["[UNK]", "[CLS]", "[SEP]"], continuing_subword_prefix="##", show_progress=False))
    t.add_tokens(ODD_TOKENS)
    t.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    t.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return t


def metaspaces():
    """Metaspace that cuts, no byte fallback: unknown characters one by one."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Metaspace(prepend_scheme="always", split=True)])
    t.train_from_iterator(CORPUS[:5], trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>", "<s>"], show_progress=False))
    t.add_tokens(ODD_TOKENS)
    t.post_processor = processors.TemplateProcessing(single="<s> $A <s>", pair="<s> $A $B", special_tokens=[("<s>", 1)])
    t.decoder = decoders.Metaspace(prepend_scheme="always")
    return t


def spaced():
    """Space-cut words with a suffix, unknown characters dropped, ByteLevel as a normalizer elsewhere."""
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Replace("cat", "feline"), normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False)])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Split("e", "merged_with_next"), pre_tokenizers.Split(Regex("[aio]"), "merged_with_previous")])
    t.train_from_iterator(CORPUS[:4], trainers.BpeTrainer(vocab_size=400, end_of_word_suffix="</w>", special_tokens=[], show_progress=False))
    t.decoder = decoders.BPEDecoder(suffix="</w>")
    return t


def bytes_first():
    """The byte alphabet as a normalizer, a prefix space, and no decoder."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([normalizers.Prepend("_"), normalizers.ByteLevel()])
    t.pre_tokenizer = pre_tokenizers.Split("Ġ", "merged_with_next")
    t.train_from_iterator(CORPUS, byte_level_trainer([], size=400))
    t.add_tokens([AddedToken("solo", normalized=True), AddedToken("é", normalized=True)])
    return t


RULES = """2122 > 54 4D\nFB01 > 66 69\nFB03 > 66 66 69\n3000 > 20\nA0 > 20\n1E >\n200B > 20\n65 301 > E9\n61 308 > E4\n61 308 301 > 61\n6F 302 > F4\n6F 302 323 > 1ED9
FF48 > 68\nFF41 > 61\n1112 1161 11AB > D55C\n1F600 > 3A 29\n1F1E9 1F1EA > 44 45\n2026 > 2E 2E 2E\nFE0F >\nD A > A\n"""


def characters():
    """A small table of SentencePiece's, in base64."""
    import base64, io, tempfile
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("\n".join("\t".join(side.strip() for side in line.split(">")) for line in RULES.strip().split("\n")) + "\n")
        rules.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=model, vocab_size=400, normalization_rule_tsv=rules.name, minloglevel=2, hard_vocab_limit=False)
    parsed = proto.ModelProto()
    parsed.ParseFromString(model.getvalue())
    return base64.b64encode(parsed.normalizer_spec.precompiled_charsmap).decode()


def unigram_data(size, specials, unk, text=CORPUS):
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    t.train_from_iterator(text, trainers.UnigramTrainer(vocab_size=size, special_tokens=specials, unk_token=unk, show_progress=False))
    return json.loads(t.to_str())


def unigram():
    """As T5's and SigLIP's are converted from SentencePiece."""
    data = unigram_data(600, ["<pad>", "</s>", "<unk>", "<mask>"], "<unk>", [line.lower() for line in CORPUS[:8] + CORPUS[11:]])
    data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Precompiled", "precompiled_charsmap": characters()}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}
    data["decoder"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    first, second = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}
    data["post_processor"] = {"type": "TemplateProcessing", "single": [first, end], "pair": [first, end, second, end], "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}}
    return Tokenizer.from_str(json.dumps(data))


def unigram_bytes():
    """Bytes for what has no token, no cut at spaces, as Gemma has it."""
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    data = unigram_data(700, ["<pad>", "<eos>", "<bos>", "<unk>"] + bytes_, "<unk>", CORPUS[:5])
    data["added_tokens"] = [x for x in data["added_tokens"] if not x["content"].startswith("<0x")]
    data["model"]["byte_fallback"] = True
    data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": characters()}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    data["pre_tokenizer"] = None
    data["post_processor"] = template("<bos>", 2)
    data["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    return Tokenizer.from_str(json.dumps(data))


TOKENIZERS = {f.__name__: f for f in (gpt2, roberta, llama3, qwen2, llama2, llama2_metaspace, gemma, clip, words, metaspaces, spaced, bytes_first, unigram, unigram_bytes)}


def case(tokenizer, text):
    starts = [0]
    for c in text:
        starts.append(starts[-1] + len(c.encode()))
    encoding = tokenizer.encode(text)
    offsets = []
    for (a, b) in encoding.offsets:
        offsets += [starts[a], starts[b]]
    return {"text": text, "ids": encoding.ids, "offsets": offsets, "plain": tokenizer.encode(text, add_special_tokens=False).ids,
            "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=False), "skipped": tokenizer.decode(encoding.ids, skip_special_tokens=True)}


def random_decoding(tokenizer, rng):
    top = max(tokenizer.get_vocab().values()) + 3
    ids = [rng.randrange(top) for _ in range(rng.randrange(12))]
    return {"random": ids, "random_decoded": tokenizer.decode(ids, skip_special_tokens=False)}


def random_text(rng):
    """Pieces of the nasty texts, and scalars from all of Unicode."""
    parts = []
    for _ in range(rng.randrange(1, 12)):
        kind = rng.random()
        if kind < 0.45:
            text = rng.choice(TEXTS)
            start = rng.randrange(len(text) + 1)
            parts.append(text[start:start + rng.randrange(1, 14)])
        elif kind < 0.6:
            parts.append(rng.choice([" ", "  ", "\n", "\r\n", "\t", "\u00a0", "'", "▁", "\u0301", "\u200d"]) * rng.randrange(1, 4))
        elif kind < 0.75:
            parts.append("".join(chr(rng.randrange(0x20, 0x250)) for _ in range(rng.randrange(1, 6))))
        elif kind < 0.85:
            parts.append("".join(chr(rng.randrange(0x300, 0x3000)) for _ in range(rng.randrange(1, 4))))
        else:
            c = rng.choice([rng.randrange(0, 0xD800), rng.randrange(0xF900, 0x10000), rng.randrange(0x10000, 0x20000)]) if rng.random() < 0.7 else rng.randrange(0xE000, 0x110000)
            parts.append(chr(c) if not 0xD800 <= c < 0xE000 else "x")
    return "".join(parts)


def try_folder(folder):
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".json") or name.endswith(".cases.json"): continue
        tokenizer = Tokenizer.from_file(os.path.join(folder, name))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        rng = random.Random(1)
        cases = [case(tokenizer, text) for text in TEXTS]
        cases += [case(tokenizer, random_text(rng)) | random_decoding(tokenizer, rng) for _ in range(1000)]
        with open(os.path.join(folder, name[:-len("json")] + "cases.json"), "w") as file:
            json.dump(cases, file, ensure_ascii=True, separators=(",", ":"))


def main():
    if sys.argv[1:2] == ["try"]: return try_folder(sys.argv[2])
    fuzz = len(sys.argv) > 1 and sys.argv[1] == "fuzz"
    chosen = {} if fuzz else set(sys.argv[1:])
    for name, make in TOKENIZERS.items():
        if chosen and name not in chosen: continue
        if fuzz:
            tokenizer = Tokenizer.from_file(os.path.join(HERE, f"{name}.tokenizer.json"))
            rng = random.Random(int(sys.argv[2]))
            cases = [case(tokenizer, random_text(rng)) | random_decoding(tokenizer, rng) for _ in range(int(sys.argv[3]))]
            path = os.path.join(sys.argv[4], f"{name}.json")
        else:
            made = make()
            tokenizer, data = made if isinstance(made, tuple) else (made, None)
            with open(os.path.join(HERE, f"{name}.tokenizer.json"), "w") as file:
                json.dump(data or json.loads(tokenizer.to_str()), file, ensure_ascii=False, separators=(",", ":"))
            rng = random.Random(1)
            cases = [case(tokenizer, text) for text in TEXTS]
            cases += [case(tokenizer, random_text(rng)) | random_decoding(tokenizer, rng) for _ in range(60)]
            path = os.path.join(HERE, f"{name}.cases.json")
        with open(path, "w") as file:
            json.dump(cases, file, ensure_ascii=True, separators=(",", ":"))


if __name__ == "__main__":
    main()
