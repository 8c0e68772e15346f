import { describe, expect, test } from "bun:test";
import { APPROACHES, parseResult, REFINEMENTS } from "../../demo/plan.ts";

describe("the plan", () => {
  const refinements = APPROACHES.flatMap(({ name }) => REFINEMENTS.map((refine) => refine(name)));

  test("has five approaches, and two refinements of whichever wins, all with names of their own", () => {
    expect(APPROACHES).toHaveLength(5);
    const names = [...APPROACHES, ...refinements].map(({ name }) => name);
    expect(new Set(names).size).toBe(15);
  });

  test("keeps descriptions to 80 characters", () => {
    for (const { description } of [...APPROACHES, ...refinements]) expect(description.length).toBeLessThanOrEqual(80);
  });

  test("forks from the winner's own output", () => {
    expect(REFINEMENTS[0]("mixing").command("/skills/pocket-golf")).toStartWith(
      "node '/skills/pocket-golf/golf.mjs' --model mix --from out/mixing ",
    );
    expect(() => REFINEMENTS[0]("nobody")).toThrow("none of the approaches");
  });

  test("quotes the skill folder", () => {
    expect(APPROACHES[0]?.command("/it's here/", "bun")).toStartWith(`bun '/it'\\''s here/golf.mjs' --model ngram `);
  });
});

describe("parseResult", () => {
  test("reads the last RESULT line", () => {
    const stdout = `step 1/2 val_bpb 3.0\nRESULT {"val_bpb":9,"bytes":9}\nRESULT {"val_bpb":1.5,"bytes":64000}\n`;
    expect(parseResult(stdout)).toEqual({ valBpb: 1.5, bytes: 64000 });
  });

  test("refuses output without a whole result", () => {
    expect(() => parseResult("golf: no")).toThrow("no RESULT line");
    expect(() => parseResult(`RESULT {"val_bpb":1.5}`)).toThrow("incomplete");
  });
});
