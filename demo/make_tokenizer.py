"""Makes tokenizer.json from the demo's own sentences: byte-level BPE, every answer a single token.

  python make_tokenizer.py OUTPUT_FOLDER RECORDS.jsonl ...
"""

import json
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>", "<image>"]
COLOURS = "red orange yellow green blue purple".split()
SHAPES = "circle square triangle star ring cross".split()
ANSWERS = COLOURS + SHAPES + "one two three four left right".split()


def sentences(paths):
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                for turn in json.loads(line)["conversations"]:
                    yield turn["value"].replace("<image>", "")


def main(folder, paths):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        min_frequency=20,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # The answers stand in front and many times, so that each is one token without a space before it.
    tokenizer.train_from_iterator([word for word in ANSWERS for _ in range(2000)] + list(sentences(paths)), trainer)
    for word in ANSWERS:
        for text in (word, " " + word):
            assert len(tokenizer.encode(text).ids) == 1, text
    tokenizer.save(folder + "/tokenizer.json")
    print(tokenizer.get_vocab_size(), "tokens;", tokenizer.encode("<|user|><image>What colour is the star?<|assistant|>red<|end|>").tokens)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
