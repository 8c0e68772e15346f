import { expect, test } from "bun:test";
import fc from "fast-check";
import { decideAdmission } from "../../../src/jobs/admission.ts";

const limits = { maxRunningJobs: 8 };

test("a job is admitted while a slot is left for it and for those ahead", () => {
  expect(decideAdmission({ running: 0, ahead: 0 }, limits)).toEqual({ kind: "admit" });
  expect(decideAdmission({ running: 7, ahead: 0 }, limits)).toEqual({ kind: "admit" });
  expect(decideAdmission({ running: 5, ahead: 2 }, limits)).toEqual({ kind: "admit" });
});

test("a job that waits says for what, and behind how many", () => {
  const reason = (running: number, ahead: number) => {
    const decision = decideAdmission({ running, ahead }, limits);
    return decision.kind === "wait" ? decision.reason : null;
  };
  expect(reason(8, 0)).toBe("waiting for a running slot (8 of 8 in use)");
  expect(reason(8, 1)).toBe("waiting for a running slot (8 of 8 in use, behind 1 queued job)");
  expect(reason(6, 2)).toBe("waiting for a running slot (6 of 8 in use, behind 2 queued jobs)");
});

test("whoever is admitted behind others would be admitted before them too", () => {
  const count = fc.nat({ max: 40 });
  fc.assert(
    fc.property(count, count, fc.integer({ min: 1, max: 20 }), (running, ahead, maxRunningJobs) => {
      const kind = (at: number) => decideAdmission({ running, ahead: at }, { maxRunningJobs }).kind;
      if (kind(ahead) === "admit") for (let at = 0; at < ahead; at++) expect(kind(at)).toBe("admit");
      expect(kind(ahead)).toBe(running + ahead < maxRunningJobs ? "admit" : "wait");
    }),
  );
});
