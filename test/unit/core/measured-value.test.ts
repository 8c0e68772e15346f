import { expect, test } from "bun:test";
import { type Measured, MeasuredValue } from "../../../src/core/measured-value.ts";
import type { MetricValue } from "../../../src/core/run-task.ts";
import { describeNoMeasurement } from "../../../src/prompt/run-end.ts";

/** A text: the line that could not be read. */
type Expected = MetricValue | "none" | string | readonly [MetricValue, MetricValue];

const CASES: readonly (readonly [output: string, expected: Expected, texts?: Readonly<Record<string, string>>])[] = [
  ["METRIC loss=1.5\n", 1.5],
  ["METRIC loss=1.5", 1.5],
  ["METRIC loss=1\nMETRIC loss=1\n", 1],
  ["METRIC loss=NaN\nMETRIC loss=nan\n", "NaN"],
  ["METRIC Loss=1\nloss=1\n", "none"],
  ["METRIC loss=1\nMETRIC loss=2\nMETRIC loss=3\n", [1, 2]],
  ["METRIC loss=3 step=1\nMETRIC loss=2 step=2\n", 2],
  ["METRIC loss=3 step=1\nMETRIC loss=2 step=2\nMETRIC loss=9\n", 9],
  ["METRIC loss=3 step=2\nMETRIC loss=2 step=2\n", [3, 2]],
  ["METRIC loss=3 step=2\nMETRIC loss=0 step=1\n", [3, 0]],
  ["METRIC loss=0\nxxxMETRIC loss=4\n", [0, 4]],
  [`METRIC loss=0\n${"x".repeat(50_000)}METRIC loss=4\n`, [0, 4]],
  ["METRIC loss=0\nmy METRIC loss=4METRIC x=1\n", [0, 4]],
  ["METRIC MY_METRIC=1 loss=2\n", 2],
  [`METRIC loss=0\n${"METRIC ".repeat(65)}METRIC loss=4\n`, [0, 4]],
  [`METRIC loss=0\n${"xMETRIC".repeat(65)}METRIC loss=4\n`, [0, 4]],
  [`METRIC loss=0\n${"METRIC x=1 ".repeat(500)}METRIC loss=4\n`, [0, 4]],
  [`METRIC loss=0\n${"METRIC x=1 ".repeat(500)}METRIC loss=4`, [0, 4]],
  ["final loss: 2\n", 2, { loss: "final loss:" }],
  ["final loss: 2\nMETRIC loss=1\n", [2, 1], { loss: "final loss:" }],
  ["loss: 0 loss: 4\n", [0, 4], { loss: "loss:" }],
  ["loss: 0 xloss: 4\n", [0, 4], { loss: "loss:" }],
  ["loss: 0 loss: \u001b[32m4\u001b[0m\n", [0, 4], { loss: "loss:" }],
  ["loss: 0 \u001b[loss: 4\n", [0, 4], { loss: "loss:" }],
  [`loss: 0 ${"loss: x ".repeat(65)}loss: 4\n`, [0, 4], { loss: "loss:" }],
  [`loss: 0${"loss: 0 ".repeat(1_000)}loss: 4`, [0, 4], { loss: "loss:" }],
  ["loss: 9\rloss: 5\rloss: 4\n", 4, { loss: "loss:" }],
  ["\r eval 1/3\r          \rMETRIC loss=0.9\n", 0.9],
  ["METRIC loss=0\rMETRIC loss=4\n", [4, 0]],
  ["METRIC loss=0\nMETRIC loss=4%\n", "METRIC loss=4%"],
  ["METRIC loss=0\nMETRIC loss=1,234\n", "METRIC loss=1,234"],
  ["METRIC loss=0\nMETRIC loss=np.float64(4.0)\n", "METRIC loss=np.float64(4.0)"],
  ["METRIC loss=0\nMETRIC loss: 4\n", "METRIC loss: 4"],
  ["METRIC loss=0\nMETRIC loss=4 step=3/3\n", "METRIC loss=4 step=3/3"],
  ['METRIC loss=0\nMETRIC {"loss": 4}\n', 'METRIC {"loss": 4}'],
  ["METRIC loss=0\nMETRIC acc=1%, loss=4\n", "METRIC acc=1%, loss=4"],
  ["METRIC loss=0\nopen METRIC loss=4%\n", "METRIC loss=4%"],
  ["METRIC loss=4%\nMETRIC loss=0\n", "METRIC loss=4%"],
  ["METRIC loss=4%\n", "METRIC loss=4%"],
  ["METRIC loss=0\nMETRIC xloss=4%\nMETRIC loss2=4%\nMETRIC acc=1 (no loss)\n", 0],
  ["METRIC loss=n/a step=0\nMETRIC loss=2 step=1\nMETRIC loss=1\n", 1],
  ["METRIC loss=2 step=1\nMETRIC loss=n/a step=2\n", "METRIC loss=n/a step=2"],
  ["METRIC loss=\u001b[31m4\u001b[0m\n", 4],
  ["METRIC loss=0\nMETRIC loss=\u001b[31m4%\u001b[0m\n", "METRIC loss=\u001b[31m4%\u001b[0m"],
  ["loss: 0\nloss: 1,234\n", "loss: 1,234", { loss: "loss:" }],
  ["loss: 0\nloss: tensor(4.)\n", "loss: tensor(4.)", { loss: "loss:" }],
  ["loss: 0\nloss: \u001b[32m1,234\u001b[0m\n", "loss: 1,234", { loss: "loss:" }],
  ["loss: \u001b[32m4\u001b[0m\nloss: none yet\n", 4, { loss: "loss:" }],
  ["loss: 1,234\rloss: 4\n", 4, { loss: "loss:" }],
  ["METRIC loss=4%\n", 4, { loss: "loss=" }],
  ["loss: 2ms\nloss: 2ms\n", 2, { loss: "loss:" }],
  ["loss: 2ms\nloss: 2s\n", "loss: 2s", { loss: "loss:" }],
  ["loss: 2K\nloss: 2000\n", 2000, { loss: "loss:" }],
  ["loss: 2\nloss: 2K\n", [2, 2000], { loss: "loss:" }],
];

const shown = (found: Measured): Expected => {
  if (found.kind === "value") return found.value;
  if (found.kind === "unread") return found.line;
  return found.kind === "none" ? "none" : found.values;
};
const show = (output: string): string => JSON.stringify(output.length > 80 ? `${output.slice(0, 30)}…` : output);

for (const [output, expected, texts = {}] of CASES)
  test(`${show(output)} measures ${String(expected)}, however it is cut`, () => {
    for (const size of [1, 7, output.length]) {
      const value = new MeasuredValue("loss", texts);
      const bytes = Buffer.from(output);
      for (let at = 0; at < bytes.length; at += size) value.read(bytes.subarray(at, at + size));
      const found = value.end();
      expect(shown(found)).toEqual(expected);
    }
  });

const SPEED = { speed: "speed:" };
const CASES_OF_OTHERS: readonly (readonly [output: string, others: readonly [string, MetricValue][] | string])[] = [
  ["METRIC loss=1 speed=3 cheat=5\n", [["speed", 3]]],
  ["speed: 3\nMETRIC loss=1\n", [["speed", 3]]],
  ["METRIC loss=1\n", []],
  ["METRIC speed=90 step=1\nMETRIC speed=50 step=2\nMETRIC loss=1\n", [["speed", 50]]],
  ["METRIC loss=1 speed=3\nMETRIC speed=9\n", "not clear: speed"],
  ["METRIC speed=9\nopen METRIC speed=3\nMETRIC loss=1\n", "not clear: speed"],
  ["METRIC speed=9\nMETRIC speed=3km\nMETRIC loss=1\n", "not clear: speed"],
  ["METRIC loss=1\nMETRIC speed=3 loss=2\n", "conflict"],
];

for (const [output, expected] of CASES_OF_OTHERS)
  test(`${show(output)} measures besides ${JSON.stringify(expected)}`, () => {
    const value = new MeasuredValue("loss", SPEED);
    value.read(Buffer.from(output));
    const found = value.end();
    if (found.kind !== "value") expect(found.kind).toBe(expected as typeof found.kind);
    else if (found.unclear.length > 0) expect(`not clear: ${found.unclear}`).toBe(String(expected));
    else expect([...found.others]).toEqual(expected as [string, MetricValue][]);
  });

test("a number behind a progress bar measures nothing, and what hid it is kept", () => {
  const value = new MeasuredValue("loss", {});
  value.read(Buffer.from("\r eval 1/3\r eval 3/3METRIC loss=0.9\n"));
  const found = value.end();
  if (found.kind !== "none") throw new Error("it was measured");
  expect(found.hidden).toContain("METRIC loss=0.9");
  expect(describeNoMeasurement("loss", found, "")).toContain("such as a progress bar, which must be ended");
});

test("a line that could not be read is quoted, as data", () => {
  const value = new MeasuredValue("loss", {});
  value.read(Buffer.from('METRIC loss=0\nMETRIC loss="4"\u0007\n'));
  const found = value.end();
  if (found.kind === "value") throw new Error("it was measured");
  expect(describeNoMeasurement("loss", found, "")).toStartWith(
    'The command printed the metric loss in a line whose number is not certain, so no other number of it counts: code of the job may print numbers too. The line: "METRIC loss=\\"4\\"".',
  );
});
