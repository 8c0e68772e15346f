#!/usr/bin/env python3
"""Makes mnist.npz, the one data file that every framework's job reads, with the standard library alone.

    digits.py --out data/mnist.npz                    MNIST if it can be fetched, else synthetic digits
    digits.py --out data/mnist.npz --source synthetic --train 6000 --test 1000

Arrays as Keras has them: x_train, x_test uint8 [n, 28, 28]; y_train, y_test uint8 [n]. Beside it, mnist.npz.json says
which data it is: report it with every result. Synthetic digits are easier than MNIST and never comparable with it.
Exit code: 0 written, 1 MNIST was requested and cannot be fetched.
"""
import argparse
import hashlib
import json
import os
import random
import struct
import sys
import urllib.request
import zipfile

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
SIDE = 28

GLYPHS = [
    "01110 10001 10011 10101 11001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00110 01000 10000 11111",
    "11110 00001 00001 01110 00001 00001 11110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
]
PIXELS = [[(x, y) for y, row in enumerate(glyph.split()) for x, c in enumerate(row) if c == "1"] for glyph in GLYPHS]


def draw(digit, rng):
    """One image: the glyph scaled, slanted, moved and thickened at random, on a noisy ground."""
    image = bytearray(rng.randrange(24) if rng.random() < 0.15 else 0 for _ in range(SIDE * SIDE))
    wide, tall = rng.uniform(2.3, 3.5), rng.uniform(2.3, 3.2)
    slant = rng.uniform(-0.35, 0.35)
    left = (SIDE - 5 * wide) / 2 + rng.uniform(-3, 3)
    top = (SIDE - 7 * tall) / 2 + rng.uniform(-3, 3)
    thick = rng.uniform(0.9, 1.5)
    for x, y in PIXELS[digit]:
        ink = rng.randrange(140, 256)
        x0 = left + x * wide + slant * (3 - y) * tall * 0.5
        y0 = top + y * tall
        for py in range(max(0, round(y0)), min(SIDE, round(y0 + tall * thick))):
            for px in range(max(0, round(x0)), min(SIDE, round(x0 + wide * thick))):
                image[py * SIDE + px] = max(image[py * SIDE + px], ink)
    return bytes(image)


def synthetic(count, seed):
    rng = random.Random(seed)
    labels = [i % 10 for i in range(count)]
    rng.shuffle(labels)
    return b"".join(draw(label, rng) for label in labels), bytes(labels)


def npy(data, shape):
    """The .npy format, version 1.0, of unsigned bytes."""
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1") + data


def write_synthetic(path, train, test, seed):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, count, part in (("train", train, 0), ("test", test, 1)):
            images, labels = synthetic(count, seed * 2 + part)
            for array, data, shape in ((f"x_{name}", images, (count, SIDE, SIDE)), (f"y_{name}", labels, (count,))):
                entry = zipfile.ZipInfo(f"{array}.npy")  # Without the time of writing: same seed, same bytes.
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, npy(data, shape))
    return {"data": "synthetic", "train": train, "test": test, "seed": seed}


def download(path, url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        data = answer.read()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise ValueError(f"what came is not MNIST: sha256 {found}")
    with open(path, "wb") as file:
        file.write(data)
    return {"data": "mnist", "train": 60000, "test": 10000}


def make(path, source, train, test, seed, url=URL):
    if source != "synthetic":
        try:
            return download(path, url)
        except (OSError, ValueError) as error:
            if source == "mnist":
                raise
            print(f"MNIST cannot be fetched ({error}); drawing synthetic digits instead", file=sys.stderr)
    return write_synthetic(path, train, test, seed)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="mnist.npz")
    parser.add_argument("--source", choices=("auto", "mnist", "synthetic"), default="auto")
    parser.add_argument("--train", type=int, default=12000, help="synthetic images to train on")
    parser.add_argument("--test", type=int, default=2000, help="synthetic images to test on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--url", default=URL)
    args = parser.parse_args(argv)
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    try:
        about = make(args.out, args.source, args.train, args.test, args.seed, args.url)
    except (OSError, ValueError) as error:
        print(f"MNIST cannot be fetched: {error}", file=sys.stderr)
        return 1
    with open(args.out, "rb") as file:
        about["sha256"] = hashlib.sha256(file.read()).hexdigest()
    with open(args.out + ".json", "w", encoding="utf-8") as file:
        json.dump(about, file)
    print(json.dumps(about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
