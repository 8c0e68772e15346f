import { expect, test } from "bun:test";
import { findTraceback, hidesFailures } from "../../../src/core/traceback.ts";

const HEADER = "Traceback (most recent call last):";
const CRASH = `METRIC loss=1 step=1\n${HEADER}\n  File "train.py", line 3, in <module>\n    main()\nRuntimeError: CUDA error`;
const FINALIZER = `Exception ignored in: <function A.__del__>\n${HEADER}\n  File "a", line 1, in __del__\nValueError: x`;
const PIPE_CLOSED =
  "Exception ignored in: <_io.TextIOWrapper name='<stdout>'>\nBrokenPipeError: [Errno 32] Broken pipe";
const UNLOGGED = `--- Logging error ---
${HEADER}
  File "train.py", line 3, in <module>
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

${HEADER}
  File "logging/__init__.py", line 377, in getMessage
TypeError: %d format: a real number is required, not str
Call stack:
  File "train.py", line 4, in <module>
Message: '%d'
Arguments: ('x',)`;
const GROUP = `  + Exception Group Traceback (most recent call last):
  |   File "train.py", line 8, in <module>
  |     raise (a
  |            | b)
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ${HEADER}
    |   File "train.py", line 3, in x
    | ValueError: bad
    +---------------- 2 ----------------
    | ${HEADER}
    |   File "train.py", line 4, in y
    | KeyError: 'k'
    +------------------------------------`;
const RICH = `╭──────── Traceback (most recent call last) ────────╮
│ /work/train.py:3 in <module>                      │
│                                                   │
│ ❱ 3 main()                                        │
╰───────────────────────────────────────────────────╯
RuntimeError: CUDA error`;

test.each([
  ["at the end", CRASH, "RuntimeError: CUDA error"],
  ["with what CUDA adds", `${CRASH}\nFor debugging consider CUDA_LAUNCH_BLOCKING=1\n\n`, "RuntimeError: CUDA error"],
  ["of one process of several", CRASH.replaceAll(/^/gm, "[rank0]: "), "RuntimeError: CUDA error"],
  ["without a message", `${HEADER}\n  File "a"\nKeyboardInterrupt\n`, "KeyboardInterrupt"],
  ["while another was handled", `${HEADER}\nValueError: a\n\nDuring it:\n\n${HEADER}\na.b.Odd: c`, "a.b.Odd: c"],
  ["before one of a finalizer", `${CRASH}\n${FINALIZER}`, "RuntimeError: CUDA error"],
  ["before many of finalizers", `${CRASH}\n${`${FINALIZER}\n`.repeat(9)}`, "RuntimeError: CUDA error"],
  ["before a closed pipe", `${CRASH}\n${PIPE_CLOSED}`, "RuntimeError: CUDA error"],
  ["before a message that could not be logged", `${CRASH}\n${UNLOGGED}`, "RuntimeError: CUDA error"],
  ["after a message that could not be logged", `${UNLOGGED}\n${CRASH}`, "RuntimeError: CUDA error"],
  ["of a group of errors", GROUP, "KeyError: 'k'"],
  [
    "of a group of errors that were never raised",
    GROUP.replaceAll(/^ {4}\| (?:Trace| {2}File).*\n/gm, ""),
    "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)",
  ],
  ["over a line that begins with an operator", `${HEADER}\n  File "a"\n    a\n    + b\nValueError: c`, "ValueError: c"],
  ["that Rich has drawn", RICH, "RuntimeError: CUDA error"],
  ["of a process of Ray", CRASH.replaceAll(/^/gm, "(train pid=123, ip=10.0.0.1) "), "RuntimeError: CUDA error"],
  ["of a worker of Ray", CRASH.replaceAll(/^/gm, "(pid=123) "), "RuntimeError: CUDA error"],
  ["of a task of srun", CRASH.replaceAll(/^/gm, " 0: "), "RuntimeError: CUDA error"],
])("a traceback %s is found", (_, output, error) => {
  expect(findTraceback(output, [])).toBe(error);
});

test.each([
  ["there is none", "Error: loss is high\nMETRIC loss=1"],
  ["it is cut off", `${HEADER}\n  File "a"`],
  ["numbers follow", `${CRASH}\nMETRIC loss=1 step=2`],
  ["much follows", `${CRASH}\n${"line\n".repeat(30)}`],
  ["it is of a finalizer", `done\n${FINALIZER}`],
  ["it is of a finalizer, as Python 3.14 says it", FINALIZER.replace("in:", "while calling deallocator")],
  ["it is of a message that could not be logged", `--- Logging error ---\n${HEADER}\n  File "a"\nTypeError: x`],
  ["it is of a message that could not be logged while an error was handled", UNLOGGED],
  ["numbers follow before that of a finalizer", `${CRASH}\nMETRIC loss=1 step=2\n${FINALIZER}`],
])("no crash is seen where %s", (_, output) => {
  expect(findTraceback(output, [])).toBeNull();
});

const LOGGED = `loss: 0.5\nERROR:root:download failed\n${HEADER}\n  File "data.py", line 3, in fetch\nTimeoutError: timed out`;

test("no crash is seen where numbers follow after a text of the task", () => {
  for (const line of [
    "loss: 0.4",
    "INFO step 2 loss: 0",
    "[1,  2000] loss: 2.173",
    "epoch 2/9 train loss: 7,234",
    "loss: nan",
  ]) {
    expect([line, findTraceback(`${LOGGED}\nretrying\n${line}\ndone`, ["acc:", "loss:"])]).toEqual([line, null]);
    expect([line, findTraceback(`${LOGGED}\n${line}`, ["acc:"])]).toEqual([line, "TimeoutError: timed out"]);
  }
});

test.each([
  ["nothing", ""],
  ["words", "the loss was too high"],
  ["a bar that is drawn a last time", " 50%|█████     | 5/10 [00:01<00:01,  4.9it/s, loss: 0.4]"],
  ["a bar without an end", "5batch [00:01, 4.90batch/s, loss: 0.4]"],
  ["a bar of Rich", "Epoch 1/9 ━━━━ 5/10 0:00:01 • 0:00:01 4.91it/s loss: 0.4"],
  ["a summary of W&B", "wandb: Run summary:\nwandb:      loss: 0.41234"],
  ["a summary of Comet", "COMET INFO:   Metrics:\nCOMET INFO:     loss: [5] : (0.1, 0.5)"],
  ["lines that came before, as grep shows them", "loss: 0.5"],
])("a crash is seen where only %s follows after it", (_, rest) => {
  expect(findTraceback(`${LOGGED}\n${rest}`, ["loss:"])).toBe("TimeoutError: timed out");
});

test("a pipe hides a failure, unless pipefail is set", () => {
  for (const command of ["python3 a.py | tee log", "python3 a.py 2>&1|tail -20", "(a; b) |& tee log"])
    expect(hidesFailures(command)).toBeTrue();
  for (const command of [
    "python3 a.py || true",
    "a '|' b",
    'echo "a | b"',
    "set -o pipefail; a | b",
    "a >| b",
    "a \\| b",
  ])
    expect(hidesFailures(command)).toBeFalse();
});
