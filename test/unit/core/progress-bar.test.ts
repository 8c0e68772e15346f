import { expect, test } from "bun:test";
import { MetricLines } from "../../../src/core/metric-lines.ts";

/** What one line holds, in short: `loss=1@3`. */
const read = (line: string) =>
  new MetricLines({ loss: "loss=", mae: "mae:" })
    .read(Buffer.from(`${line}\n`))
    .map(({ name, value, step }) => `${name}=${value}${step === undefined ? "" : `@${step}`}`)
    .join(" ");

test("what is printed behind a bar of tqdm or Keras begins a line of its own, and leaves the bar's numbers", () => {
  const bars = [
    ["\r 50%|##   | 5/10 [00:01<00:01,  4.2it/s, loss=0.4]", "loss=0.4 "],
    ["\r 50%|██   | 5/10 [1:00:01<?, ?it/s]", ""],
    ["\r7it [00:01,  4.2it/s]", ""],
    ["\r 50%|██   | 5/10 [00:01<00:01,  4.2it/s, each=[0.1, 0.2], mean=0.15]", ""],
    ["\r10/10 [====>...] - 1s 12ms/step - mae: 0.4", "mae=0.4 "],
    ["\r\x1b[1m10/10\x1b[0m \x1b[32m━━━━━\x1b[0m\x1b[37m━\x1b[0m 0s 3ms/step - mae: 0.4", "mae=0.4 "],
  ] as const;
  for (const [bar, found] of bars)
    for (const before of ["", "#".repeat(20_000)])
      expect(read(`${before}${bar}METRIC acc=0.5 step=3`)).toBe(`${found}acc=0.5@3`);
  for (const other of ["[00:01]: ", "2026-01-02 [12:30] ", "echo '[00:01]', '", "1/2 [info] "])
    expect(read(`${other}METRIC acc=0.5`)).toBe("");
});
