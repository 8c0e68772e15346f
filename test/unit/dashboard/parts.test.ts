import { expect, test } from "bun:test";
import fc from "fast-check";
import { renderChange, renderState, toParts } from "../../../src/dashboard/server/parts.ts";
import { propertyRuns } from "../../support/property-runs.ts";
import { sampleJob, sampleView } from "../../support/sample-lab.ts";

const partsOf = (...jobs: Parameters<typeof sampleView>[1]) => toParts(sampleView("ses_1", jobs), [], "");

test("the first event has the whole state, without results, which may be long", () => {
  const job = sampleJob("job_1", { result: "long" });
  const { result: _, ...listed } = job;
  const { session, ...view } = sampleView("ses_1", [job]);
  const { snapshots, ...rest } = view;
  expect(JSON.parse(renderState(toParts(sampleView("ses_1", [job]), [], "")))).toEqual({
    ...rest,
    session,
    sessions: [],
    jobs: [listed],
  });
});

test("a later event has only what changed", () => {
  const before = partsOf(sampleJob("job_1"), sampleJob("job_2"));
  const after = partsOf(sampleJob("job_1"), sampleJob("job_2", { status: "half" }), sampleJob("job_3"));
  expect(JSON.parse(renderChange(before, after) ?? "")).toEqual({
    jobs: [expect.objectContaining({ id: "job_2", status: "half" }), expect.objectContaining({ id: "job_3" })],
  });
  expect(JSON.parse(renderChange(after, partsOf(sampleJob("job_1"))) ?? "")).toEqual({ gone: ["job_2", "job_3"] });
});

test("that time has passed alone is nothing to tell", () => {
  const before = toParts(sampleView("ses_1", []), [], "");
  expect(renderChange(before, toParts(sampleView("ses_1", [], { at: "later" }), [], ""))).toBeNull();
});

test("the events on one line give any later state again, whatever jobs say", () => {
  const job = fc.record({
    id: fc.constantFrom("job_1", "job_2", "__proto__", "constructor"),
    status: fc.string({ unit: "binary" }),
    metrics: fc.dictionary(fc.constantFrom("loss", "__proto__"), fc.constant({ value: 1, at: 1, source: "reported" })),
  });
  const jobs = fc.uniqueArray(job, { selector: ({ id }) => id });
  fc.assert(
    fc.property(jobs, jobs, (before, after) => {
      const [first, second] = [before, after].map((list) =>
        partsOf(...list.map(({ id, status, metrics }) => sampleJob(id, { status, metrics: metrics as never }))),
      ) as [ReturnType<typeof partsOf>, ReturnType<typeof partsOf>];
      const state = renderState(first);
      const change = renderChange(first, second);
      expect(`${state}${change}`).not.toContain("\n");
      const known = new Map<string, unknown>(JSON.parse(state).jobs.map((one: { id: string }) => [one.id, one]));
      const { jobs: changed = [], gone = [] } = change === null ? {} : JSON.parse(change);
      for (const id of gone) known.delete(id);
      for (const one of changed) known.set(one.id, one);
      const expected = JSON.parse(renderState(second)).jobs;
      expect(new Map(expected.map((one: { id: string }) => [one.id, one]))).toEqual(known);
    }),
    { numRuns: propertyRuns(200) },
  );
});
