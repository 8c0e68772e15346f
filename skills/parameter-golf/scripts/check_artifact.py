#!/usr/bin/env python3
"""Counts the bytes of a parameter-golf artifact: code plus compressed weights, at most 16,000,000 (decimal).

    check_artifact.py --code train_gpt.py --weights final_model.int8.ptz
    check_artifact.py --submission records/track_10min_16mb/2026-01-31_Title [--weights final_model.int8.ptz]

--code and --weights may be repeated: every file that evaluation needs counts. With --submission the folder's parts and
the numbers in its submission.json are checked too.
Exit code: 0 fits, 1 too large or not in order, 2 a file is missing.
"""
import argparse
import json
import os
import re
import sys

LIMIT = 16_000_000
CLOSE = 15_900_000
KEYS = ("author", "github_id", "name", "blurb", "date", "val_loss", "val_bpb", "bytes_total", "bytes_code")
FOLDER = re.compile(r"^\d{4}-\d{2}-\d{2}_\S+$")
TRACKS = ("track_10min_16mb", "track_non_record_16mb")


def sizes(code, weights):
    return {
        "bytes_code": sum(os.path.getsize(path) for path in code),
        "bytes_weights": sum(os.path.getsize(path) for path in weights),
    }


def is_plain_checkpoint(path):
    """torch.save writes a zip archive of stored, that is uncompressed, members."""
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def limit_problems(total, limit):
    return [f"{total} bytes are {total - limit} over the limit of {limit}"] if total > limit else []


def submission_problems(folder):
    problems = []
    parent, name = os.path.split(os.path.abspath(folder))
    track = os.path.basename(parent)
    if not FOLDER.match(name):
        problems.append(f"folder {name} is not called YYYY-MM-DD_Title")
    if track not in TRACKS:
        problems.append(f"folder lies in {track}, not in {' or '.join(TRACKS)}")
    inside = os.listdir(folder)
    parts = ("README.md", "submission.json", "train_gpt.py")
    problems += [f"{part} is missing" for part in parts if part not in inside]
    if not any(re.match(r"train.*\.(log|txt)$", part) for part in inside):
        problems.append("no train log (train.log, or one train_seed<seed>.log per seed)")
    return problems


def read_submission(folder):
    path = os.path.join(folder, "submission.json")
    if not os.path.exists(path):
        return {}, []
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except ValueError as error:
        return {}, [f"submission.json cannot be read: {error}"]
    if not isinstance(found, dict):
        return {}, ["submission.json is not an object"]
    problems = [f"submission.json has no {key}" for key in KEYS if key not in found]
    for key in ("val_loss", "val_bpb", "bytes_total", "bytes_code"):
        if key in found and (isinstance(found[key], bool) or not isinstance(found[key], (int, float))):
            problems.append(f"submission.json: {key} is not a number")
            found = {name: value for name, value in found.items() if name != key}
    return found, problems


def check(args):
    code, problems, claimed = list(args.code), [], {}
    if args.submission:
        problems += submission_problems(args.submission)
        claimed, more = read_submission(args.submission)
        problems += more
        script = os.path.join(args.submission, "train_gpt.py")
        if not code and os.path.exists(script):
            code = [script]
    out = sizes(code, args.weights)
    if not args.weights and "bytes_total" in claimed:
        out["bytes_weights"] = None
        total = claimed["bytes_total"]
    else:
        total = out["bytes_code"] + out["bytes_weights"]
        if "bytes_total" in claimed and claimed["bytes_total"] != total:
            problems.append(f"submission.json says bytes_total {claimed['bytes_total']}, counted {total}")
    if code and "bytes_code" in claimed and claimed["bytes_code"] != out["bytes_code"]:
        problems.append(f"submission.json says bytes_code {claimed['bytes_code']}, counted {out['bytes_code']}")
    for path in args.weights:
        if is_plain_checkpoint(path):
            problems.append(f"{os.path.basename(path)} is an uncompressed checkpoint; count the compressed file")
    problems += limit_problems(total, args.limit)
    notes = [f"only {args.limit - total} bytes left"] if args.limit == LIMIT and CLOSE < total <= LIMIT else []
    out.update(bytes_total=total, bytes_left=args.limit - total, fits=not problems, problems=problems, notes=notes)
    return out


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", action="append", default=[], metavar="FILE")
    parser.add_argument("--weights", action="append", default=[], metavar="FILE")
    parser.add_argument("--submission", metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=LIMIT)
    args = parser.parse_args(argv)
    if not args.submission and not (args.code and args.weights):
        parser.error("give --code and --weights, or --submission")
    try:
        out = check(args)
    except OSError as error:
        print(f"cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(json.dumps(out, indent=2))
    return 0 if out["fits"] else 1


if __name__ == "__main__":
    sys.exit(main())
