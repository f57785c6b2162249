"""Writes ops.safetensors: what PyTorch computes for every operation of Sources/Tensors/Ops.

Run with torch, numpy and safetensors installed: python make_ops.py

A case NAME holds NAME.in.I (float inputs), NAME.seed (the gradient of the output), NAME.out and NAME.grad.I.
Inputs are rounded to float32; outputs and gradients are computed from them in float64 and stored in float32, so that
the distance to them is the error of the operation under test alone. Printed is the distance of PyTorch's own float32
results from them: output first, then each gradient.
"""

import pathlib

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(11)
torch.set_num_threads(1)
tensors = {}


def rand(*shape, scale=1.0):
    return ((torch.rand(*shape, dtype=torch.float64) * 2 - 1) * scale).float()


def distance(a, b):
    size = b.norm().item()
    return (a.double() - b).norm().item() / (size if size > 0 else 1e-30)


def case(name, inputs, function, seed=None):
    """Runs function in float64 and float32 and stores inputs, output and every gradient."""

    def run(dtype, seed):
        leaves = [x.detach().to(dtype).requires_grad_() for x in inputs]
        y = function(*leaves)
        if seed is None:
            seed = rand(*y.shape)
        y.backward(seed.to(dtype))
        return seed, y.detach(), [leaf.grad for leaf in leaves]

    seed, y, grads = run(torch.float64, seed)
    _, y32, grads32 = run(torch.float32, seed)
    for i, x in enumerate(inputs):
        tensors[f"{name}.in.{i}"] = x.contiguous()
        tensors[f"{name}.grad.{i}"] = grads[i].float().contiguous()
    tensors[f"{name}.seed"] = seed.float().contiguous()
    tensors[f"{name}.out"] = y.float().contiguous()
    pairs = [(y32, y), *zip(grads32, grads)]
    print(f"{name:32}", " ".join(f"{distance(a, b):.1e}" for a, b in pairs))


# Linear layers: weights [out, in] and [in, out], bias, low-rank update (scale 1.5).
case("linear", [rand(9, 13), rand(11, 13), rand(11)], lambda x, w, b: F.linear(x, w, b))
case("linear.no_bias", [rand(9, 13), rand(11, 13)], F.linear)
case("linear.inputs_first", [rand(9, 13), rand(13, 11), rand(11)], lambda x, w, b: x @ w + b)
case("linear.one_row", [rand(1, 13), rand(11, 13), rand(11)], lambda x, w, b: F.linear(x, w, b))
case(
    "lora",
    [rand(9, 13), rand(11, 13), rand(3, 13), rand(11, 3), rand(11)],
    lambda x, w, a, b, bias: F.linear(x, w, bias) + 1.5 * (x @ a.T) @ b.T,
)
case(
    "lora.inputs_first",
    [rand(9, 13), rand(13, 11), rand(3, 13), rand(11, 3), rand(11)],
    lambda x, w, a, b, bias: x @ w + bias + 1.5 * (x @ a.T) @ b.T,
)

# Arithmetic.
case("add", [rand(5, 7), rand(5, 7)], lambda a, b: a + b)
case("add.itself", [rand(5, 7)], lambda a: a + a)
case("scale", [rand(5, 7)], lambda x: x * -2.5)
case("addRepeated", [rand(12, 5), rand(4, 5)], lambda x, t: x + t.repeat(3, 1))

# Activations: a sweep over the range that layers see, and the ends of it.
edge = [0.0, -0.0, 1e-4, -1e-4, 1e-39, -1e-39, 1e-45, 50.0, -50.0, 12.0, -12.0, 88.8, -88.8, 1e4, -1e4, 0.9277343, -0.9277344]
sweep = torch.linspace(-6, 6, 111).tolist()
points = torch.tensor([sweep + edge]).float()
ones = torch.ones_like(points)
activations = {
    "gelu": lambda x: F.gelu(x),
    "geluTanh": lambda x: F.gelu(x, approximate="tanh"),
    "quickGELU": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": lambda x: F.silu(x),
    "relu": lambda x: F.relu(x),
}
for name, function in activations.items():
    case(f"activate.{name}", [points], function, seed=ones)
for name in ["silu", "gelu", "geluTanh"]:
    case(f"gated.{name}", [rand(6, 17, scale=4), rand(6, 17)], lambda g, u, f=activations[name]: f(g) * u)


# Norms; the offset makes mean² a hundred times the variance.
def rms(x, w, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


case("rmsNorm", [rand(7, 24), rand(24)], lambda x, w: rms(x, w, 1e-6))
case("rmsNorm.small", [rand(3, 24, scale=1e-3), rand(24)], lambda x, w: rms(x, w, 1e-5))
case("layerNorm", [rand(7, 24), rand(24), rand(24)], lambda x, w, b: F.layer_norm(x, (24,), w, b, 1e-5))
case("layerNorm.offset", [rand(3, 24) * 0.1 + 1, rand(24), rand(24)], lambda x, w, b: F.layer_norm(x, (24,), w, b, 1e-5))


# Attention: ragged sequences one after another, query heads that share key heads, more keys than queries.
def attention(q, k, v, heads, key_heads, width, spans, causal):
    parts = []
    for (q0, q1), (k0, k1) in spans:
        qs = q[q0:q1].view(q1 - q0, heads, width).transpose(0, 1)
        ks = k[k0:k1].view(k1 - k0, key_heads, width).transpose(0, 1).repeat_interleave(heads // key_heads, 0)
        vs = v[k0:k1].view(k1 - k0, key_heads, width).transpose(0, 1).repeat_interleave(heads // key_heads, 0)
        scores = qs @ ks.transpose(1, 2) / width**0.5
        if causal:
            rows = torch.arange(q1 - q0)[:, None] + (k1 - k0) - (q1 - q0)
            scores = scores.masked_fill(torch.arange(k1 - k0)[None] > rows, float("-inf"))
        parts.append((scores.softmax(-1) @ vs).transpose(0, 1).reshape(q1 - q0, heads * width))
    return torch.cat(parts)


def own(*lengths):
    ends = numpy.cumsum((0,) + lengths).tolist()
    return [((a, b), (a, b)) for a, b in zip(ends, ends[1:])]


ragged = own(3, 1, 7)
cached = [((0, 2), (0, 6)), ((2, 3), (6, 11)), ((3, 6), (11, 14))]
for mask in ["causal", "bidirectional"]:
    causal = mask == "causal"
    case(
        f"attention.{mask}",
        [rand(11, 24), rand(11, 12), rand(11, 12)],
        lambda q, k, v: attention(q, k, v, 4, 2, 6, ragged, causal),
    )
    case(
        f"attention.cached.{mask}",
        [rand(6, 24), rand(14, 12), rand(14, 12)],
        lambda q, k, v: attention(q, k, v, 4, 2, 6, cached, causal),
    )
# One head each, and one key head for all; longer than one tile of 64 queries.
case("attention.tiles", [rand(70, 8), rand(70, 4), rand(70, 4)], lambda q, k, v: attention(q, k, v, 2, 1, 4, own(70), True))
# Scores up to ±80: exp of them would leave float32 without the maximum taken off. Multiples of an eighth, so that the
# scores themselves are exact.
eighths = lambda *shape: (torch.randint(-8, 9, shape).float() / 8)
large = [eighths(9, 4) * 12, eighths(9, 4) * 8, rand(9, 4)]
assert 75 < (large[0] @ large[1].T / 2).abs().max() < 200
case("attention.large", large, lambda q, k, v: attention(q, k, v, 1, 1, 4, own(9), True))

# Rotary positions as transformers applies them to Llama: rotate_half.
angles = torch.arange(9, dtype=torch.float64)[:, None] * (10000.0 ** (-torch.arange(0, 6, 2, dtype=torch.float64) / 6))[None]
cosines, sines = angles.cos().float(), angles.sin().float()
positions = torch.tensor([0, 1, 2, 8, 3, 3, 7])
tensors["rotary.cosines"], tensors["rotary.sines"] = cosines.contiguous(), sines.contiguous()
tensors["rotary.positions"] = positions.int()


def rotary(x):
    heads = x.view(7, 2, 6)
    turned = torch.cat([-heads[..., 3:], heads[..., :3]], -1)
    cos = torch.cat([cosines, cosines], -1)[positions][:, None].to(x.dtype)
    sin = torch.cat([sines, sines], -1)[positions][:, None].to(x.dtype)
    return (heads * cos + turned * sin).reshape(7, 12)


case("rotary", [rand(7, 12)], rotary)

# Rows and columns.
indices = torch.tensor([3, 0, 3, 1, 5])
case("gatherRows", [rand(6, 5)], lambda table: F.embedding(indices, table))
case("gatherRows.fixed", [rand(6, 5)], lambda table: F.embedding(indices, table, padding_idx=3))


def replaced(base, values):
    mask = torch.zeros(7, 5, dtype=torch.bool)
    mask[[5, 1, 2]] = True
    order = torch.tensor([1, 2, 0])  # masked_scatter fills in the order of the rows: 1, 2, 5
    return base.masked_scatter(mask, values[order])


case("replaceRows", [rand(7, 5), rand(3, 5)], replaced)
case("joinColumns", [rand(4, 2), rand(4, 5), rand(4, 1)], lambda a, b, c: torch.cat([a, b, c], 1))
case("columns", [rand(4, 9)], lambda x: x[:, 2:5] + x[:, 5:8])
case("reshape", [rand(4, 6)], lambda x: F.silu(x.reshape(8, 3)))
pixels = rand(2, 3, 4, 6)
weight = rand(5, 3, 2, 2)
case("patches", [weight], lambda w: F.conv2d(pixels.to(w.dtype), w, stride=2).flatten(2).transpose(1, 2).reshape(-1, 5))
tensors["patches.pixels"] = pixels

# Cross-entropy with the head in it; logits up to ±80 in the second.
targets = torch.tensor([2, 0, 10, 5, 5, 16])
tensors["crossEntropy.targets"] = targets.int()
loss = lambda h, w: F.cross_entropy(h @ w.T, targets, reduction="sum").reshape(1)
rows = lambda name: F.cross_entropy(
    tensors[f"{name}.in.0"].double() @ tensors[f"{name}.in.1"].double().T, targets, reduction="none"
).float()
case("crossEntropy", [rand(6, 8), rand(17, 8)], loss, seed=torch.tensor([0.25]))
case("crossEntropy.large", [eighths(6, 8) * 4, eighths(17, 8) * 10], loss, seed=torch.tensor([1.0]))
top = (tensors["crossEntropy.large.in.0"] @ tensors["crossEntropy.large.in.1"].T).abs().max().item()
assert 75 < top < 200, top
for name in ["crossEntropy", "crossEntropy.large"]:
    tensors[f"{name}.nll"] = rows(name).contiguous()

# AdamW over five updates in float32, with decay, a clipped gradient and one that is zero.
weight = rand(37).requires_grad_()
tensors["adamw.weight"] = weight.detach().clone()
optimizer = torch.optim.AdamW([weight], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, foreach=False, fused=False)
for step in range(5):
    gradient = rand(37, scale=[1, 1e-3, 0, 30, 1][step])
    tensors[f"adamw.gradient.{step}"] = gradient
    optimizer.param_groups[0]["lr"] = 1e-2 / (step + 1)
    weight.grad = gradient * 0.5
    optimizer.step()
    tensors[f"adamw.after.{step}"] = weight.detach().clone()
state = optimizer.state[weight]
tensors["adamw.first"], tensors["adamw.second"] = state["exp_avg"].clone(), state["exp_avg_sq"].clone()

# Conversions: what PyTorch makes of bit patterns. NaNs are compared as NaNs.
bits = [
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x3F800000, 0x3F808000, 0x3F818000,
    0x3F808001, 0x3F807FFF, 0xBF808000, 0xBF818000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F7F8000, 0x7F7F7FFF, 0x7F800000,
    0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x00008000, 0x00018000, 0x00007FFF, 0x80008000, 0x4049FF00,
    0x33800000, 0x477FE000, 0x42F6E979,
]  # fmt: skip
single = torch.tensor(numpy.array(bits, dtype=numpy.uint32).view(numpy.float32))
tensors["bf16.from"] = torch.tensor(numpy.array(bits, dtype=numpy.uint32).view(numpy.int32))
tensors["bf16.to"] = single.to(torch.bfloat16).view(torch.int16)
half = numpy.array(
    [0, 0x8000, 1, 0x8001, 2, 0x3FF, 0x83FF, 0x400, 0x401, 0x3C00, 0xBC00, 0x3555, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00]
    + [0x7E00, 0x7C01, 0xFFFF, 0x5A5A, 0x0200],
    dtype=numpy.uint16,
)
tensors["f16.from"] = torch.tensor(half.view(numpy.int16))
tensors["f16.to"] = torch.tensor(half.view(numpy.float16)).float().contiguous().view(torch.int32)

tensors = {name: value.clone() for name, value in tensors.items()}
path = pathlib.Path(__file__).parent / "ops.safetensors"
save_file(tensors, path)
print(path.stat().st_size, "bytes,", len(tensors), "tensors")
