import { expect, test } from "bun:test";
import { findTraceback, hidesFailures } from "../../../src/core/traceback.ts";

const HEADER = "Traceback (most recent call last):";
const CRASH = `METRIC loss=1 step=1\n${HEADER}\n  File "train.py", line 3, in <module>\n    main()\nRuntimeError: CUDA error`;

test.each([
  ["at the end", CRASH, "RuntimeError: CUDA error"],
  ["with what CUDA adds", `${CRASH}\nFor debugging consider CUDA_LAUNCH_BLOCKING=1\n\n`, "RuntimeError: CUDA error"],
  ["of one process of several", CRASH.replaceAll(/^/gm, "[rank0]: "), "RuntimeError: CUDA error"],
  ["without a message", `${HEADER}\n  File "a"\nKeyboardInterrupt\n`, "KeyboardInterrupt"],
  ["while another was handled", `${HEADER}\nValueError: a\n\nDuring it:\n\n${HEADER}\na.b.Odd: c`, "a.b.Odd: c"],
])("a traceback %s is found", (_, output, error) => {
  expect(findTraceback(output)).toBe(error);
});

test.each([
  ["there is none", "Error: loss is high\nMETRIC loss=1"],
  ["it is cut off", `${HEADER}\n  File "a"`],
  ["numbers follow", `${CRASH}\nMETRIC loss=1 step=2`],
  ["much follows", `${CRASH}\n${"line\n".repeat(30)}`],
  ["it is of a finalizer", `done\nException ignored in: <function A.__del__>\n${HEADER}\n  File "a"\nValueError: x`],
  ["it is of a message that could not be logged", `--- Logging error ---\n${HEADER}\n  File "a"\nTypeError: x`],
])("no crash is seen where %s", (_, output) => {
  expect(findTraceback(output)).toBeNull();
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
