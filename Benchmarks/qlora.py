"""QLoRA at the size of LLaVA-1.5-7B: makes such a model with random 4-bit weights, and measures steps over it.

    python qlora.py make MODEL --like FOLDER                 # about 4.5 GB; tokenizer and processor files come from FOLDER
    python qlora.py measure MMDIST MODEL RECORDS IMAGES [--ranks 1] [--steps 2] [--output OUT]

The weights are written as bitsandbytes stores NF4, shard by shard and without ever being numbers of 16 bits. What a rank takes
beside the mapped weights is what the system counts as its own (RssAnon and RssShmem of /proc/PID/status), looked at ten times a
second. FOLDER holds a processor for pictures of 336 pixels in patches of 14; its image token is the one of config.json.
"""
import argparse, json, shutil, struct, subprocess, sys, threading, time
from pathlib import Path

import numpy as np

WIDTH, HIDDEN, LAYERS, HEADS, VOCABULARY = 4096, 11008, 32, 32, 32064
VISION = {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
          "num_attention_heads": 16, "image_size": 336, "patch_size": 14, "projection_dim": 768, "hidden_act": "quick_gelu"}
TEXT = {"model_type": "llama", "hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5, "max_position_embeddings": 4096, "rope_theta": 10000.0}
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
       0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
FILES = ["tokenizer.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json", "chat_template.jinja", "generation_config.json"]

draw = np.random.default_rng(0)


def bfloat16(shape, deviation=0.02):
    bits = (deviation * draw.standard_normal(shape, dtype=np.float32)).view(np.uint32)
    return "BF16", shape, (bits >> 16).astype(np.uint16)


def constant(shape, value):
    return "BF16", shape, np.full(shape, np.array(value, np.float32).view(np.uint32) >> 16, np.uint16)


def codes(name, shape):
    """A matrix of random codes whose magnitudes lie about 0.033, so that its numbers deviate by about 0.02."""
    count = shape[0] * shape[1]
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": list(shape), "nested_blocksize": 256, "nested_dtype": "float32",
             "nested_offset": float(np.float32(0.033))}
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    ascending = np.linspace(-1, 1, 256, dtype=np.float32)
    yield name, ("U8", (count // 2, 1), draw.integers(0, 256, count // 2, np.uint8))
    yield name + ".absmax", ("U8", (count // 64,), draw.integers(96, 160, count // 64, np.uint8))
    yield name + ".nested_absmax", ("F32", (count // 64 // 256,), np.full(count // 64 // 256, 0.01, np.float32))
    yield name + ".nested_quant_map", ("F32", (256,), ascending)
    yield name + ".quant_map", ("F32", (16,), np.array(NF4, np.float32))
    yield name + ".quant_state.bitsandbytes__nf4", ("U8", (len(text),), text)


def linear(name, outputs, inputs):
    yield name + ".weight", bfloat16((outputs, inputs))
    yield name + ".bias", constant((outputs,), 0)


def norm(name, width):
    yield name + ".weight", constant((width,), 1)
    yield name + ".bias", constant((width,), 0)


def shards():
    """The tensors of each file, made while they are written."""
    def eyes():
        tower, width, hidden = "vision_tower.vision_model.", VISION["hidden_size"], VISION["intermediate_size"]
        yield tower + "embeddings.class_embedding", bfloat16((width,))
        yield tower + "embeddings.patch_embedding.weight", bfloat16((width, 3, 14, 14))
        yield tower + "embeddings.position_embedding.weight", bfloat16((577, width))
        yield from norm(tower + "pre_layrnorm", width)
        for layer in range(VISION["num_hidden_layers"]):
            place = f"{tower}encoder.layers.{layer}."
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"): yield from linear(f"{place}self_attn.{part}", width, width)
            yield from linear(place + "mlp.fc1", hidden, width)
            yield from linear(place + "mlp.fc2", width, hidden)
            for part in ("layer_norm1", "layer_norm2"): yield from norm(place + part, width)
        yield from norm(tower + "post_layernorm", width)
        yield from linear("multi_modal_projector.linear_1", WIDTH, width)
        yield from linear("multi_modal_projector.linear_2", WIDTH, WIDTH)
        yield "language_model.model.embed_tokens.weight", bfloat16((VOCABULARY, WIDTH))
        yield "language_model.model.norm.weight", constant((WIDTH,), 1)
        yield "language_model.lm_head.weight", bfloat16((VOCABULARY, WIDTH))

    def layers(numbers):
        for layer in numbers:
            place = f"language_model.model.layers.{layer}."
            for part in ("q_proj", "k_proj", "v_proj", "o_proj"): yield from codes(f"{place}self_attn.{part}.weight", (WIDTH, WIDTH))
            for part in ("gate_proj", "up_proj"): yield from codes(f"{place}mlp.{part}.weight", (HIDDEN, WIDTH))
            yield from codes(place + "mlp.down_proj.weight", (WIDTH, HIDDEN))
            for part in ("input_layernorm", "post_attention_layernorm"): yield place + part + ".weight", constant((WIDTH,), 1)

    return [eyes()] + [layers(range(first, first + 4)) for first in range(0, LAYERS, 4)]


def make(options):
    folder, like = Path(options.model), Path(options.like)
    folder.mkdir(parents=True)
    for name in FILES:
        if (like / name).exists(): shutil.copy(like / name, folder / name)
    image = json.loads((like / "config.json").read_text())
    config = {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "image_token_index": image.get("image_token_index", image.get("image_token_id")),
              "projector_hidden_act": "gelu", "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "image_seq_length": 576,
              "tie_word_embeddings": False, "vision_config": VISION, "text_config": TEXT,
              "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
                                      "bnb_4bit_compute_dtype": "bfloat16", "llm_int8_skip_modules": ["model.vision_tower", "model.multi_modal_projector", "lm_head"]}}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    files, index = shards(), {}
    for number, tensors in enumerate(files):
        name = f"model-{number + 1:05}-of-{len(files):05}.safetensors"
        held = list(tensors)  # some 600 MB: the header stands before the values
        header, offset = {}, 0
        held.sort(key=lambda item: {"F32": 0, "BF16": 1, "U8": 2}[item[1][0]])
        for key, (dtype, shape, values) in held:
            header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + values.nbytes]}
            offset += values.nbytes
            index[key] = name
        text = json.dumps(header).encode()
        text += b" " * (-(8 + len(text)) % 4096)
        with open(folder / name, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for _, (_, _, values) in held: out.write(values.tobytes())
        print(f"{name}: {offset >> 20} MiB")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def own_memory(process):
    """KiB of anonymous, shared and file memory of a process."""
    try: lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError: return None
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return found and (found["RssAnon"], found["RssShmem"], found["RssFile"])


def ranks_below(process):
    """The processes that were started by this one, and by those."""
    try: children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError: return []
    return [int(child) for child in children] + [below for child in children for below in ranks_below(child)]


def measure(options):
    output = Path(options.output)
    shutil.rmtree(output, ignore_errors=True)
    run = {"model": str(Path(options.model).resolve()), "output": str(output.resolve()),
           "data": {"train": [{"path": str(Path(options.records).resolve()), "images": str(Path(options.images).resolve())}], "shuffle": False},
           "train": {"steps": options.steps, "global_batch": 2, "micro_batch": 1, "precision": "bfloat16", "recompute": True,
                     "parts": {"language": {"train": "qlora", "rank": 16}}},
           "checkpoint": {"every": 0}}
    (file := output.with_suffix(".yaml")).write_text(json.dumps(run, indent=1))
    command = [options.mmdist, "train", "-c", str(file), "--resume", "never"]
    if options.ranks > 1: command = ["mpirun", "-q", "--oversubscribe", "--bind-to", "none", "-n", str(options.ranks)] + command
    started = time.time()
    job, peaks = subprocess.Popen(command), {}

    def watch():
        while job.poll() is None:
            for process in [job.pid] + ranks_below(job.pid):
                memory = own_memory(process)
                if memory: peaks[process] = tuple(map(max, memory, peaks.get(process, (0, 0, 0))))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = job.wait()
    watcher.join()
    for process, (anonymous, shared, mapped) in sorted(peaks.items()):
        if anonymous > 100_000: print(f"rank: {(anonymous + shared) / 2**20:.2f} GiB of its own, {mapped / 2**20:.2f} GiB mapped")
    for line in (output / "metrics.jsonl").read_text().splitlines():
        step = json.loads(line)
        print(f"step {step['step']}: loss {step['loss']:.4f}, {step['tokens']} tokens, {step['seconds']:.1f} s")
    print(f"{time.time() - started:.0f} s in all, exit code {code}")
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("make")
    first.add_argument("model")
    first.add_argument("--like", required=True)
    first.set_defaults(run=make)
    second = commands.add_parser("measure")
    for name in ("mmdist", "model", "records", "images"): second.add_argument(name)
    second.add_argument("--ranks", type=int, default=1)
    second.add_argument("--steps", type=int, default=2)
    second.add_argument("--output", default="./qlora-run")
    second.set_defaults(run=measure)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
