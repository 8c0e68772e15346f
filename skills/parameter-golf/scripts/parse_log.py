#!/usr/bin/env python3
"""Turns a parameter-golf training log into numbers for job_report.

    parse_log.py logs/<RUN_ID>.txt                     JSON on standard output
    parse_log.py train.log --final                     exit code 1 unless the run has a score and fits the limit
    parse_log.py train.log --against control.log       adds the difference to an unmodified run
    parse_log.py train.log --score quantized_ttt       name of the score line in a script that renamed it
    parse_log.py train.log --curve                     adds every validation as [step, val_bpb]
    parse_log.py train.log --wall 912                  seconds of the whole command: what was not training is "other_s"
    parse_log.py train.log --lines                     `METRIC name=value` lines in place of JSON, for a run without a model
    torchrun … 2>&1 | parse_log.py train.log --tee     writes the log, and prints the metrics of each step as they come

"status", "step" and "metrics" are what job_report takes. `val_bpb` is there only when the run has its score: the
validation before compression is `val_bpb_prequant`, because the two must not be compared.
Exit code: 0 parsed, 1 refused by --final, 2 the file cannot be read.
"""
import argparse
import json
import math
import re
import sys

LIMIT = 16_000_000
CLOSE = 15_900_000
NOISE = 0.003
STEPPED = ("train_loss", "val_bpb_prequant")
SXM = "NVIDIA H100 80GB HBM3"

NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
STEP = re.compile(r"^(step:)?(\d+)/(\d+) (train_loss|val_loss):\s*" + NUMBER)
TIMES = re.compile(r"train_time:(\d+(?:\.\d+)?)ms step_avg:(\d+(?:\.\d+)?)ms$")
VAL_BPB = re.compile(r"\bval_bpb:\s*" + NUMBER)
VAL_LOSS = re.compile(r"\bval_loss:\s*" + NUMBER)
EVAL_TIME = re.compile(r"\beval_time:(\d+(?:\.\d+)?)ms")
WARMUP = re.compile(r"^warmup_step:(\d+)/(\d+)$")
STOPPED = re.compile(r"^stopping_early: wallclock_cap train_time:(\d+(?:\.\d+)?)ms step:(\d+)/(\d+)$")
MEMORY = re.compile(r"^peak memory allocated: (\d+) MiB")
CODE = re.compile(r"^Code size(?: [^:]*)?: (\d+) bytes$")
WEIGHTS = re.compile(r"^Serialized model (\S[^:]*): (\d+) bytes")
TOTAL = re.compile(r"^Total submission size (\S[^:]*): (\d+) bytes$")
GPU = re.compile(r"^\|\s+\d+\s+(\S.+?)\s+(?:On|Off)\s+\|")
SETTING = re.compile(
    r"\b(model_params|world_size|grad_accum_steps|seed|train_batch_tokens|train_seq_len|iterations"
    r"|max_wallclock_seconds):(\d+(?:\.\d+)?)(?= |$)"
)
VALIDATION = re.compile(r"^val_loader:.*\btokens:(\d+)$")
SETTING_LINE = re.compile(r"^(?:model_params|world_size|seed|train_batch_tokens):\d")
OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|CUDA out of memory")
ERROR = re.compile(r"^((?:\w+\.)*\w*(?:Error|Exception): .+)")
CRASH = re.compile(r"^Traceback \(most recent call last\)|ChildFailedError|Signal \d+ \(SIG\w+\) received")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RANK = re.compile(r"^\[(?:default|rank)?\d+\]:\s?")
ENDS_WHOLE = re.compile(r"(?:\d(?:ms| bytes| MiB)|\.\d{8}|\bwarmup_step:\d+/\d+)$")


def read_lines(path):
    """Whole lines only: a number cut off by a kill looks like a better number."""
    with open(path, "rb") as file:
        text = file.read().replace(b"\0", b"").decode("utf-8", "replace")
    lines = re.split(r"\r\n|\n|\r", ANSI.sub("", text))
    if lines and not ENDS_WHOLE.search(lines[-1]):
        lines.pop()
    return [RANK.sub("", line).rstrip() for line in lines]


class Run:
    """What the lines of one training run said."""

    def __init__(self):
        self.settings = {}
        self.gpu = None
        self.metrics = {}
        self.step = None
        self.warmup = None
        self.curve = []
        self.finals = []
        self.artifact = None
        self.stopped_by_clock = False
        self.diverged_at = None
        self.failure = None


def number(text):
    return float(text)


def parse(lines, score=None):
    """The last run in the log, and how many it holds: a reused RUN_ID appends to the same file."""
    run, runs, gpu, validation = Run(), 1, None, None
    for line in lines:
        if VALIDATION.match(line):
            validation = int(VALIDATION.match(line).group(1))
        if GPU.match(line):
            gpu = gpu or GPU.match(line).group(1)
        if line.startswith("model_params:") and (run.step is not None or run.finals or run.failure):
            run, runs = Run(), runs + 1
        take(run, line, score)
    run.gpu = gpu
    if validation is not None:
        run.settings["val_tokens"] = validation
    return run, runs


def take(run, line, score):
    if SETTING_LINE.match(line):
        for name, value in SETTING.findall(line):
            run.settings[name] = float(value) if "." in value else int(value)
        return
    if OUT_OF_MEMORY.search(line):
        run.failure = "out of GPU memory"
        return
    if CRASH.search(line):
        run.failure = run.failure or "crashed"
        return
    if run.failure == "crashed" and ERROR.match(line):
        run.failure = "crashed: " + ERROR.match(line).group(1)[:200]
        return
    step = STEP.match(line)
    if step:
        take_step(run, line, step)
        return
    warmup, stopped, memory = WARMUP.match(line), STOPPED.match(line), MEMORY.match(line)
    code, weights, total = CODE.match(line), WEIGHTS.match(line), TOTAL.match(line)
    if warmup:
        run.warmup = [int(warmup.group(1)), int(warmup.group(2))]
    elif stopped:
        run.stopped_by_clock = True
        run.step = int(stopped.group(2))
        run.metrics["train_time_s"] = number(stopped.group(1)) / 1000
    elif memory:
        run.metrics["peak_mem_mib"] = int(memory.group(1))
    elif code:
        run.metrics["bytes_code"] = int(code.group(1))
    elif weights:
        run.metrics["bytes_weights"] = int(weights.group(2))
    elif total:
        run.artifact = total.group(1)
        run.metrics["bytes_total"] = int(total.group(2))
    elif VAL_BPB.search(line) and is_score(line, score):
        run.finals.append(line)


def is_score(line, score):
    label = line.split()[0]
    if score is not None:
        return line.startswith(score)
    return label.endswith("_exact") or label == "final_int8_zlib_roundtrip"


def take_step(run, line, match):
    own, step, planned, kind, value = match.groups()
    times = TIMES.search(line)
    bpb = VAL_BPB.search(line)
    if (own and not times) or (kind == "val_loss" and not bpb):
        return  # Cut off. Forks that leave out "step:" give their times in other words.
    run.step = int(step)
    run.settings["iterations"] = int(planned)
    loss = number(value)
    if not math.isfinite(loss):
        run.diverged_at = run.step if run.diverged_at is None else run.diverged_at
        return
    if times:
        run.metrics["train_time_s"] = number(times.group(1)) / 1000
    if times and run.step:
        run.metrics["step_avg_ms"] = number(times.group(2))
    if kind == "train_loss":
        run.metrics["train_loss"] = loss
    elif math.isfinite(number(bpb.group(1))):
        run.metrics["val_loss_prequant"] = loss
        run.metrics["val_bpb_prequant"] = number(bpb.group(1))
        run.curve.append([run.step, number(bpb.group(1))])


def take_score(run):
    """The last exact line counts; the rounded one stands in for it."""
    exact = [line for line in run.finals if not line.startswith("final_int8_zlib_roundtrip ")]
    if not run.finals:
        return None
    line = exact[-1] if exact else run.finals[-1]
    bpb, loss = VAL_BPB.search(line), VAL_LOSS.search(line)
    if not math.isfinite(number(bpb.group(1))):
        run.diverged_at = run.step if run.diverged_at is None else run.diverged_at
        return None
    run.metrics["val_bpb"] = number(bpb.group(1))
    if loss:
        run.metrics["val_loss"] = number(loss.group(1))
    for final in run.finals:
        time = EVAL_TIME.search(final)
        if time:
            run.metrics["eval_time_s"] = number(time.group(1)) / 1000
    name = line.split()[0]
    if name.startswith("final_int8_zlib_roundtrip") and "val_bpb_prequant" in run.metrics:
        run.metrics["quant_gap"] = round(run.metrics["val_bpb"] - run.metrics["val_bpb_prequant"], 5)
    return name


def status(run, scored):
    of = f"step {run.step} of {run.settings.get('iterations', '?')}"
    if run.diverged_at is not None:
        return f"diverged at step {run.diverged_at}"
    if scored:
        return f"scored val_bpb {run.metrics['val_bpb']:.4f} after {run.step} steps"
    if run.failure:
        return f"{run.failure}, {of}" if run.step is not None else run.failure
    if "bytes_total" in run.metrics or "peak_mem_mib" in run.metrics:
        return f"trained, no score yet, {of}"
    if run.step is not None:
        return f"training, {of}"
    if run.warmup:
        return f"compiling, warm-up {run.warmup[0]} of {run.warmup[1]}"
    return "nothing recognised yet"


def warnings(run, runs, scored):
    found = []
    total = run.metrics.get("bytes_total")
    if runs > 1:
        found.append(f"the log holds {runs} runs; this is the last: give every run its own directory and RUN_ID")
    if total is not None and total > LIMIT:
        found.append(f"artifact is {total - LIMIT} bytes over the limit of {LIMIT}")
    elif total is not None and total > CLOSE:
        found.append(f"artifact is within {LIMIT - total} bytes of the limit")
    if run.stopped_by_clock and run.settings.get("world_size") == 8 and run.gpu and not run.gpu.startswith(SXM):
        found.append(f"ran on {run.gpu}: the time of a full run counts on {SXM} only")
    if run.stopped_by_clock:
        found.append("stopped by the clock: compare with other runs only on the same hardware")
    if scored == "final_int8_zlib_roundtrip":
        found.append("only the rounded score line is there")
    if not scored and run.step is not None:
        found.append("no score line: mid-run validations compare only at the same place in the schedule")
    return found


def compare(run, control):
    """What differs from the control besides the score; any of it makes the difference meaningless."""
    unlike = []
    for name in ("world_size", "train_batch_tokens", "train_seq_len", "iterations", "seed", "val_tokens"):
        mine, theirs = run.settings.get(name), control.settings.get(name)
        if mine is not None and theirs is not None and mine != theirs:
            unlike.append(f"{name} {mine} against {theirs}")
    if run.step != control.step:
        unlike.append(f"steps {run.step} against {control.step}")
    if run.gpu and control.gpu and run.gpu != control.gpu:
        unlike.append(f"GPU {run.gpu} against {control.gpu}")
    return unlike


def report(path, args):
    run, runs = parse(read_lines(path), args.score)
    scored = take_score(run)
    if args.wall is not None:
        spent = run.metrics.get("train_time_s", 0) + run.metrics.get("eval_time_s", 0)
        run.metrics.update(wall_s=args.wall, other_s=round(args.wall - spent, 1))
    out = {
        "status": status(run, scored),
        "step": run.step,
        "metrics": run.metrics,
        "scored": scored,
        "artifact": run.artifact,
        "run": dict(run.settings, **({"gpu_name": run.gpu} if run.gpu else {})),
        "warnings": warnings(run, runs, scored),
    }
    if args.curve:
        out["curve"] = run.curve
    if args.against:
        against(out, run, args)
    return out


def against(out, run, args):
    control, _ = parse(read_lines(args.against))
    take_score(control)
    out["warnings"] += [f"not comparable with the control: {reason}" for reason in compare(run, control)]
    if "val_bpb" not in run.metrics or "val_bpb" not in control.metrics:
        out["warnings"].append("no difference to the control: one of the two has no score")
        return
    delta = round(run.metrics["val_bpb"] - control.metrics["val_bpb"], 8)
    run.metrics["delta_bpb"] = delta
    if abs(delta) < NOISE:
        out["warnings"].append(f"a difference below {NOISE} needs a second seed")
    if delta < -0.02:
        out["warnings"].append("a gain above 0.02: look for a leak or a wrong byte count before believing it")


def metric_line(name, value, step=None):
    print(f"METRIC {name}={value}" + ("" if step is None else f" step={step}"), flush=True)


def tee(path, source):
    """Copies the output of a training into its log. Never ends before the training does, which would end it."""
    with open(path, "wb") as log:
        for raw in source:
            log.write(raw)
            log.flush()
            line = RANK.sub("", ANSI.sub("", raw.decode("utf-8", "replace"))).rstrip()
            match = STEP.match(line)
            if not match:
                continue
            run = Run()
            take_step(run, line, match)
            if run.diverged_at is not None:
                metric_line(STEPPED[match.group(4) == "val_loss"], "NaN", run.diverged_at)
            for name in STEPPED:
                if name in run.metrics:
                    metric_line(name, run.metrics[name], run.step)
    return 0


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--against", metavar="LOG")
    parser.add_argument("--score", metavar="NAME")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--wall", metavar="SECONDS", type=float)
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--tee", action="store_true")
    args = parser.parse_args(argv)
    try:
        if args.tee:
            return tee(args.log, sys.stdin.buffer)
        out = report(args.log, args)
    except OSError as error:
        print(f"cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if args.lines:
        for name, value in out["metrics"].items():
            if name not in STEPPED:
                metric_line(name, value)
    else:
        print(json.dumps(out, indent=2, allow_nan=False))
    fits = out["metrics"].get("bytes_total", LIMIT + 1) <= LIMIT
    return 1 if args.final and not (out["scored"] and fits) else 0


if __name__ == "__main__":
    sys.exit(main())
