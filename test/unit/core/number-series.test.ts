import { expect, test } from "bun:test";
import { MetricLines } from "../../../src/core/metric-lines.ts";

const show = (output: string, texts: Record<string, string>) =>
  new MetricLines(texts)
    .read(Buffer.from(`${output}\n`))
    .map(({ name, value }) => `${name}=${value}`)
    .join(" ");

test("a comma groups digits once a number of the same text has shown it", () => {
  expect(show("x: 7,234\nx: 1,012,345\nx: 912,345\nx: -7,234 y: 7,234", { x: "x:", y: "y:" })).toBe(
    "x=1012345 x=912345 x=-7234",
  );
  expect(show("x: 1,234.5\nx: 7,234", { x: "x:" })).toBe("x=1234.5 x=7234");
  for (const other of ["312", "1.5", "0,5"]) expect(show(`x: ${other}\nx: 7,234`, { x: "x:" })).not.toContain("7234");
});

test.each([
  ["x: 900ms\nx: 1.2s\nx: 850ms", "x=900 x=850"],
  ["x: 900 ms\nx: 1.2 s", "x=900"],
  ["x: 512MiB\nx: 1.2GiB", "x=512"],
  ["x: 0\nx: 0.0s\nx: 900ms\nx: nan", "x=0 x=0 x=900 x=NaN"],
  ["x: 8.3it/s\nx: 1.2s/it", "x=8.3"],
  ["x: 12.5\nx: 12.5ms", "x=12.5"],
  ["x: 987\nx: 1.02K\nx: 1.1M\nx: 3 G\nx: 12k tok/s", "x=987 x=1020 x=1100000 x=3000000000 x=12000"],
  ["x: 987/s\nx: 1.02K/s", "x=987 x=1020"],
  ["x: 1.1B\nx: 900M", "x=1.1"],
  ["x: 2m30s\nx: 1h 5min\nx: 45s", "x=45"],
  [
    "x: 1 day, 4:55:28\nx: 1 hour, 5 minutes\nx: 1 hour 5 minutes and 3.5 seconds\nx: 2 minutes and 3 secs\nx: 4 minutes",
    "x=4",
  ],
  ["x: 1s 12ms/step\nx: 2s, 15 runs\nx: 3s 12:30", "x=1 x=2 x=3"],
  ["x: 1st\nx: 2nd\nx: 3rd\nx: 4th\nx: 5", "x=1 x=2 x=3 x=4 x=5"],
  ["x: 1.2 s loss: 0.5\nx: 2.1 m loss: 0.4\nx: 1.3 s loss: 0.3", "x=1.2 x=1.3"],
  ["x: 1.2ms 1.3ms 1.4 ms\nx: 2 ms 3 ms\nx: 1.5 s 1.6 s", "x=1.2 x=2"],
  ["x: 0.69 G 0.70\nx: 210 k 3\nx: 12 d 3\nx: 1.5 D 2 G 3\nx: 13", "x=0.69 x=210 x=12 x=1.5 x=13"],
  ["x: 5 s: 3\nx: 6 K=2\nx: 7 more\nx: 8%\nx: 9", "x=5 x=6 x=7 x=8 x=9"],
])("numbers of one text count in the unit of the first: %j", (output, expected) => {
  expect(show(output, { x: "x:" })).toBe(expected);
});

test("a power of ten written out does not count as the number before it", () => {
  const written = ["1.5 × 10⁻³", "1.5×10^-3", "1.5x10^3", "1.5 * 10**-3", "1.5·10³"];
  for (const number of written)
    expect([number, show(`x: ${number}\nMETRIC y=${number}`, { x: "x:" })]).toEqual([number, ""]);
  expect(show("x: 3 x 10\nx: 4 * 10", { x: "x:" })).toBe("x=3 x=4");
});

test("numbers in the notation of another country do not count", () => {
  const written = ["1.234,56", "12.345,6", "1'234.5", "1\u2019234", "1\u00a0234", "1\u202f234", "1\u2009234 ms"];
  for (const number of written)
    expect([number, show(`x: ${number}\nMETRIC y=${number}`, { x: "x:" })]).toEqual([number, ""]);
  expect(show("x: 0.512,0.734\nx: 1.234,0.5\nx: 0.123,4\nx: 1 234", { x: "x:" })).toBe("x=0.512 x=1.234 x=0.123 x=1");
});
