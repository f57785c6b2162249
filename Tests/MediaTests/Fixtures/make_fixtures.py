"""Makes the pictures of this folder and expected.json, with Pillow 13.0.0, transformers 5.23.0 and numpy.

expected.json holds sums (FNV-1a, 64 bits, of the raw bytes), so that a test says which picture is wrong; two
pictures are stored whole as .rgb, so that a wrong sum would be seen.
"""
import json, os, random, struct, zlib
import numpy as np
from PIL import Image, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

HERE = os.path.dirname(os.path.abspath(__file__))
random.seed(7)
rng = np.random.default_rng(7)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def path(name):
    return os.path.join(HERE, name)


def scene(width, height, channels=3):
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / (3 + 4 * k) + k) + 30 * np.cos(y / (2 + 3 * k)) for k in range(channels)]
    values = np.stack(waves, -1) + rng.normal(0, 6, (height, width, channels))
    values = np.clip(values, 0, 255).astype(np.uint8)
    return values[..., 0] if channels == 1 else values


def opened(name):
    return np.asarray(ImageOps.exif_transpose(Image.open(path(name))).convert("RGB"))


decode = []


def expect(name, pixels=None):
    pixels = opened(name) if pixels is None else pixels
    decode.append(dict(file=name, width=pixels.shape[1], height=pixels.shape[0], sum=fnv(pixels.tobytes())))
    return pixels


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


# JPEG
for name, mode, size, options in [
    ("rgb-420", "RGB", (67, 45), dict(quality=85)),
    ("rgb-422", "RGB", (50, 41), dict(quality=75, subsampling=1)),
    ("rgb-444", "RGB", (33, 29), dict(quality=95, subsampling=0)),
    ("rgb-kept", "RGB", (30, 20), dict(quality=90, subsampling=0, keep_rgb=True)),
    ("rgb-progressive", "RGB", (64, 48), dict(quality=80, progressive=True)),
    ("rgb-restarts", "RGB", (70, 30), dict(quality=50, restart_marker_blocks=2)),
    ("rgb-coarse", "RGB", (48, 48), dict(quality=3)),
    ("grey", "L", (45, 31), dict(quality=80)),
    ("grey-progressive", "L", (19, 27), dict(quality=80, progressive=True)),
    ("cmyk", "CMYK", (35, 26), dict(quality=85)),
    ("cmyk-progressive", "CMYK", (35, 26), dict(quality=85, progressive=True)),
    ("one-pixel", "RGB", (1, 1), dict(quality=75)),
    ("one-column", "RGB", (1, 40), dict(quality=75)),
    ("one-row", "RGB", (40, 1), dict(quality=75)),
]:
    channels = {"RGB": 3, "L": 1, "CMYK": 4}[mode]
    Image.fromarray(scene(*size, channels), mode).save(path(name + ".jpg"), **options)
    expect(name + ".jpg")

# Samplings that Pillow does not write: the factors in the frame header are changed, the number of blocks stays.
for name, options, size, before, after in [
    ("rgb-440", dict(subsampling=1), (40, 40), 0x21, 0x12),
    ("rgb-411", dict(subsampling=2), (64, 61), 0x22, 0x41),
    ("rgb-tall-411", dict(subsampling=2), (61, 64), 0x22, 0x14),
]:
    Image.fromarray(scene(*size)).save(path(name + ".jpg"), quality=70, **options)
    data = bytearray(open(path(name + ".jpg"), "rb").read())
    factors = data.index(b"\xff\xc0") + 11
    assert data[factors] == before
    data[factors] = after
    open(path(name + ".jpg"), "wb").write(data)
    expect(name + ".jpg")

# YCCK: the CMYK file with its Adobe transform flag changed from 0 to 2.
data = open(path("cmyk.jpg"), "rb").read()
at = data.index(b"Adobe") + 11
open(path("ycck.jpg"), "wb").write(data[:at] + b"\2" + data[at + 1 :])
expect("ycck.jpg")

for value in range(0, 10):
    name = f"turned-{value}.jpg"
    Image.fromarray(scene(37, 22)).save(path(name), quality=60, exif=orientation(value))
    expect(name)
small = Image.fromarray(scene(20, 13))
xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
small.save(path("turned-xmp.jpg"), quality=60, xmp=xmp)
expect("turned-xmp.jpg")
big_endian = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0"
small.save(path("turned-big-endian.jpg"), quality=60, exif=big_endian)
expect("turned-big-endian.jpg")


# PNG
def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(width, height, depth, colour, interlaced, extra=b"", late=b"", entries=None):
    """A PNG of random samples and random row filters; returns its bytes."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]

    def rows(columns, count):
        length = (columns * channels * depth + 7) // 8
        return b"".join(bytes([random.randint(0, 4)]) + rng.integers(0, 256, length, dtype=np.uint8).tobytes()
                        for _ in range(count))

    raw = b""
    for left, top, across, down in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        columns, count = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and count > 0:
            raw += rows(columns, count)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    out += extra
    if colour == 3:
        out += chunk(b"PLTE", rng.integers(0, 256, 3 * (entries or 1 << depth), dtype=np.uint8).tobytes())
        out += chunk(b"tRNS", rng.integers(0, 256, entries or 1 << depth, dtype=np.uint8).tobytes())
    packed = zlib.compress(raw, 9)
    half = len(packed) // 2
    return out + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + late + chunk(b"IEND", b"")


gamma = chunk(b"gAMA", struct.pack(">I", 100000))
for depth, colour in [(1, 0), (2, 0), (4, 0), (8, 0), (8, 2), (16, 2), (1, 3), (2, 3), (4, 3), (8, 3), (8, 4), (16, 4),
                      (8, 6), (16, 6)]:
    kind = {0: "grey", 2: "rgb", 3: "palette", 4: "grey-alpha", 6: "rgba"}[colour]
    for interlaced in (0, 1):
        name = f"{kind}-{depth}{'-interlaced' if interlaced else ''}.png"
        open(path(name), "wb").write(png(19, 15, depth, colour, interlaced, gamma if interlaced else b""))
        expect(name)
open(path("palette-8-short.png"), "wb").write(png(16, 16, 8, 3, 0, entries=100))
expect("palette-8-short.png")
transparent = Image.fromarray(scene(21, 17))
transparent.save(path("rgb-transparent.png"), transparency=(10, 20, 30))
expect("rgb-transparent.png")

# 16-bit grey by its high byte, as 16-bit colour is. (Pillow clips such pictures to 255 instead.)
deep = rng.integers(0, 65536, (15, 19), dtype=np.uint16)
Image.fromarray(deep).save(path("grey-16.png"))
expect("grey-16.png", np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, axis=2))

exif = orientation(6).tobytes()
for name, extra, late in [
    ("turned-exif", chunk(b"eXIf", exif[6:]), b""),
    ("turned-exif-late", b"", chunk(b"eXIf", exif[6:])),
    ("turned-text", chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n%s\n" % (
        len(exif), exif.hex().encode()))), b""),
    ("turned-xmp", chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp), b""),
]:
    open(path(name + ".png"), "wb").write(png(14, 9, 8, 2, 0, extra, late))
    assert expect(name + ".png").shape == (14, 9, 3), name

for name in ("rgb-420.jpg", "cmyk.jpg"):
    open(path(name.replace(".jpg", ".rgb")), "wb").write(opened(name).tobytes())

# Resizing
Image.fromarray(scene(120, 90)).save(path("scene.png"), optimize=True)
Image.fromarray(scene(3, 700)).save(path("tall.png"), optimize=True)
Image.fromarray(scene(900, 2)).save(path("wide.png"), optimize=True)
Image.fromarray(rng.integers(0, 2, (70, 83, 3), dtype=np.uint8) * 255).save(path("harsh.png"), optimize=True)
resize = []
for name, sizes in {
    "scene.png": [(40, 30), (30, 40), (200, 150), (120, 30), (30, 90), (121, 91), (1, 1), (120, 90), (17, 300), (300, 7)],
    "harsh.png": [(24, 24), (33, 5), (5, 33), (166, 35), (100, 140)],
    "tall.png": [(1, 1), (24, 24), (3, 10), (2, 699), (100, 2)],
    "wide.png": [(1, 1), (24, 24), (10, 2), (1, 3), (899, 1)],
    "one-pixel.jpg": [(1, 1), (7, 5), (33, 1)],
}.items():
    for width, height in sizes:
        for resample in range(6):
            pixels = np.asarray(Image.fromarray(opened(name)).resize((width, height), resample))
            resize.append(dict(file=name, width=width, height=height, resample=resample, sum=fnv(pixels.tobytes())))

# Processors
CLASSES = dict(CLIPImageProcessor=CLIPImageProcessorPil, SiglipImageProcessor=SiglipImageProcessorPil,
               LlavaImageProcessor=LlavaImageProcessorPil)
process = []
for kind, options in [
    ("CLIPImageProcessor", {}),
    ("CLIPImageProcessor", dict(size=dict(shortest_edge=28), crop_size=dict(height=28, width=28))),
    ("CLIPImageProcessor", dict(size=28, crop_size=28)),
    ("CLIPImageProcessor", dict(size=dict(shortest_edge=20), crop_size=dict(height=33, width=26))),
    ("CLIPImageProcessor", dict(size=dict(height=31, width=17), do_center_crop=False)),
    ("CLIPImageProcessor", dict(size=[12, 40], crop_size=dict(height=15, width=15))),
    ("CLIPImageProcessor", dict(size=21, default_to_square=True, crop_size=21, resample=1)),
    ("CLIPImageProcessor", dict(do_resize=False, crop_size=dict(height=50, width=61))),
    ("CLIPImageProcessor", dict(size=24, crop_size=24, resample=0, do_rescale=False)),
    ("CLIPImageProcessor", dict(size=24, crop_size=24, resample=2, do_normalize=False)),
    ("CLIPImageProcessor", dict(size=24, crop_size=24, do_rescale=False, do_normalize=False)),
    ("CLIPImageProcessor", dict(size=24, crop_size=24, rescale_factor=0.0078, image_mean=0.4, image_std=[0.2, 0.3, 1])),
    ("SiglipImageProcessor", {}),
    ("SiglipImageProcessor", dict(size=dict(height=32, width=32), resample=2, rescale_factor=0.00392156862745098)),
    ("SiglipImageProcessor", dict(size=dict(height=9, width=50), resample=3, image_mean=[0.1, 0.2, 0.3])),
    ("LlavaImageProcessor", dict(size=dict(shortest_edge=28), crop_size=28, do_pad=True)),
    ("LlavaImageProcessor", dict(size=dict(shortest_edge=28), crop_size=28)),
]:
    for name in ("scene.png", "tall.png", "wide.png", "harsh.png", "one-pixel.jpg"):
        image = Image.fromarray(opened(name))
        floats = CLASSES[kind](**options)(image, return_tensors="np")["pixel_values"][0].astype(np.float32)
        raw = CLASSES[kind](**options | dict(do_rescale=False, do_normalize=False))(image, return_tensors="np")
        pixels = np.ascontiguousarray(raw["pixel_values"][0].transpose(1, 2, 0).astype(np.uint8))
        process.append(dict(
            file=name, fields=dict(image_processor_type=kind, **options), height=pixels.shape[0], width=pixels.shape[1],
            bytes=fnv(pixels.tobytes()), floats=fnv(floats.tobytes())))

json.dump(dict(decode=decode, resize=resize, process=process), open(path("expected.json"), "w"), indent=0)
