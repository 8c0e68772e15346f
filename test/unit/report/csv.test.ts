import { expect, test } from "bun:test";
import fc from "fast-check";
import { toCsv } from "../../../src/report/csv.ts";
import { experimentOf } from "../../support/experiments.ts";
import { entryOf, sampleReport } from "./sample.ts";

/** Reads a table as RFC 4180 says. */
function read(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end !== ",") rows.push(row.splice(0));
    row = end === "," ? row : [];
  }
  return rows;
}

test("has the columns of the contract, then the parameters, and a row for each number", () => {
  const { text, neutralised } = toCsv(
    sampleReport({ experiments: [experimentOf(0), { ...experimentOf(7), parent: "job_p" }] }),
  );
  expect(neutralised).toBe(0);
  expect(read(text)).toEqual([
    [
      ..."id,description,metric,mean,deviation,n,source,verdict,parent,usd,gpu_seconds,rank,standing,missing".split(
        ",",
      ),
      "param.LR",
      "param.SEED",
    ],
    [
      "exp_job_000000000000",
      "baseline",
      "loss",
      "1",
      "",
      "1",
      "output",
      "better",
      "",
      "0.01",
      "0",
      "1",
      "final",
      "",
      "0",
      "0",
    ],
    [
      "exp_job_000000000007",
      "variant 1",
      "loss",
      "1.1360000000000001",
      "",
      "1",
      "output",
      "better",
      "job_p",
      "0.01",
      "0",
      "2",
      "final",
      "",
      "1",
      "3",
    ],
  ]);
});

test("says of each row whether it is ranked, how far its number is final, and what is missing of it", () => {
  const entry = (more: object, view: object) => {
    const one = entryOf(experimentOf(0), more);
    return { ...one, ...more, view: { ...one.view, ...view } };
  };
  const report = sampleReport({
    entries: [
      entry({ rank: 1 }, { missing: { failed: 2, running: 1 } }),
      entry({ standing: "stopped" }, {}),
      entry({ standing: "failed" }, {}),
    ],
  });
  const [header = [], ...rows] = read(toCsv(report).text);
  const place = header.indexOf("rank");
  expect(rows.map((row) => row.slice(place, place + 3))).toEqual([
    ["1", "final", "2 failed, 1 running"],
    ["", "stopped", ""],
    ["", "failed", ""],
  ]);
});

test("writes no cell that a spreadsheet would run, leaves numbers alone, and says how many it changed", () => {
  const params = {
    a: "=cmd|' /C calc'!A0",
    b: "@SUM(1)",
    c: "-1e-5",
    d: -0.5,
    e: "\u200b=1+1",
    f: "＝1",
    g: "+1 of 2",
    h: 'a,b\n"c"',
    i: 'a; =1+1;b;"=2";-5;c=3',
    j: '"@x',
  };
  const { text, neutralised } = toCsv(
    sampleReport({ experiments: [{ ...experimentOf(0), description: "-x", params }] }),
  );
  expect(read(text)[1]?.slice(-10)).toEqual([
    "'=cmd|' /C calc'!A0",
    "'@SUM(1)",
    "-1e-5",
    "-0.5",
    "'=1+1",
    "'＝1",
    "'+1 of 2",
    'a,b "c"',
    `a;' =1+1;b;'"=2";'-5;c=3`,
    `'"@x`,
  ]);
  expect(neutralised).toBe(8);
});

test("can be read back whatever jobs and parameters are called", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.dictionary(fc.string({ unit: "binary" }), fc.string()),
      (description, params) => {
        const experiments = [{ ...experimentOf(0), description, params }];
        const rows = read(toCsv(sampleReport({ experiments })).text);
        expect(rows.map((row) => row.length)).toEqual([
          14 + Object.keys(params).length,
          14 + Object.keys(params).length,
        ]);
        for (const cell of rows[1] ?? []) expect(cell).not.toMatch(/(^|;)[\s"]*[=@\t\r]/);
      },
    ),
  );
});
