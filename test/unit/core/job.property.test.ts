import { expect, test } from "bun:test";
import fc from "fast-check";
import { isAllowedChange, isEnded, isHeld, transition } from "../../../src/core/job.ts";
import { jobs, leaseID, transitions } from "./job-arbitraries.ts";

test("a transition that is not allowed returns the job itself; one that is allowed keeps J1, J3 and J4", () => {
  fc.assert(
    fc.property(jobs, transitions, fc.option(leaseID, { nil: undefined }), (before, wanted, condition) => {
      const after = transition(before, wanted, 7, condition === undefined ? {} : { leaseID: condition });
      if (after === before) return;
      expect(isAllowedChange(before, after)).toBe(true);
      expect(after.state).toMatchObject({ kind: wanted.kind, since: 7 });
      expect("leaseID" in after.state).toBe(isHeld(after.state)); // J1
      if (isEnded(before.state)) expect(after.state.kind).toBe("queued"); // J3
      if (condition !== undefined) expect(before.state).toMatchObject({ leaseID: condition });
      if (after.state.kind !== "running") return;
      expect(before.state).toMatchObject({ kind: "starting", leaseID: after.state.leaseID });
      expect(after).toMatchObject({ childSession: "ses_child", sandbox: { kind: "live" } }); // J4
    }),
  );
});
