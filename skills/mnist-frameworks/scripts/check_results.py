#!/usr/bin/env python3
"""Checks the results of the frameworks against each other and prints them as a table.

    check_results.py results/*.json         one JSON object per file, as reference.py writes it
    check_results.py --min-acc 0.95 pytorch.json jax.json

Every result must have the agreed parameters, enough accuracy and times that make sense, and all must have seen the same
data with the same settings. Files that cannot be read count as failed frameworks; the others are still compared.
Exit code: 0 all in order, 1 something is not (each line begins with the file it is about).
"""
import argparse
import json
import math
import os
import sys

PARAMS = 235146
NUMBERS = ("test_acc", "params", "compile_s", "train_s", "s_per_epoch")
TEXTS = ("framework", "version", "data")
ALIKE = ("data", "train_images", "test_images", "seed", "batch", "epochs")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read(path):
    """The result in the file, or None and the reason."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        return None, [f"cannot be read: {error}"]
    if not isinstance(found, dict):
        return None, ["is not a JSON object"]
    return found, []


def problems(result, min_acc):
    found = [f"{name} is missing or not a number" for name in NUMBERS if not is_number(result.get(name))]
    found += [f"{name} is missing" for name in TEXTS if not isinstance(result.get(name), str) or not result[name]]
    if found:
        return found
    if result["params"] != PARAMS:
        found.append(f"{result['params']} parameters instead of {PARAMS}: not the same network")
    if not 0 <= result["test_acc"] <= 1:
        found.append(f"test_acc {result['test_acc']} is not a share between 0 and 1")
    elif result["test_acc"] < min_acc:
        found.append(f"test_acc {result['test_acc']:.4f} is below {min_acc}")
    elif result["test_acc"] == 1 and result["data"] == "mnist":
        found.append("test_acc 1.0 on MNIST: it was trained on the test images, or tested on something else")
    if min(result["compile_s"], result["train_s"], result["s_per_epoch"]) < 0 or result["train_s"] == 0:
        found.append("a time is negative or nothing")
    epochs = result.get("epochs")
    if is_number(epochs) and result["s_per_epoch"] * epochs > result["train_s"] * 1.05 + 0.1:
        found.append("s_per_epoch times epochs is more than train_s: compilation goes into compile_s")
    return found


def unlike(results):
    """Settings in which the results differ, with the value of each framework."""
    found = []
    for name in ALIKE:
        values = {}
        for result in results:
            values.setdefault(json.dumps(result.get(name)), []).append(str(result.get("framework")))
        if len(values) > 1:
            sides = "; ".join(f"{value} in {', '.join(who)}" for value, who in values.items())
            found.append(f"{name} differs: {sides}")
    return found


def cell(value, digits):
    return f"{value:.{digits}f}" if is_number(value) else "?"


def table(results):
    rows = [("framework", "version", "data", "test_acc", "compile_s", "s_per_epoch", "train_s", "device")]
    for r in sorted(results, key=lambda r: r["s_per_epoch"] if is_number(r.get("s_per_epoch")) else math.inf):
        rows.append((str(r.get("framework", "?")), str(r.get("version", "?")), str(r.get("data", "?")),
                     cell(r.get("test_acc"), 4), cell(r.get("compile_s"), 2), cell(r.get("s_per_epoch"), 3),
                     cell(r.get("train_s"), 2), str(r.get("gpu_name") or "cpu")))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--min-acc", type=float, default=0.97)
    args = parser.parse_args(argv)
    results, found = [], []
    for path in args.files:
        result, wrong = read(path)
        if result is not None:
            results.append(result)
            wrong = problems(result, args.min_acc)
        found += [f"{os.path.basename(path)}: {problem}" for problem in wrong]
    found += [f"all: {problem}" for problem in unlike(results)]
    if results:
        print("\n".join(table(results)))
    print("\n".join(found) if found else f"{len(results)} results in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
