import { expect, test } from "bun:test";
import type { Job } from "../../../src/core/job.ts";
import { withoutSandbox } from "../../../src/core/without-sandbox.ts";

const why = (state: string, sandbox: string) =>
  withoutSandbox({ state: { kind: state }, sandbox: { kind: sandbox } } as unknown as Job);

test("a job that was cancelled before it had a sandbox will have no files, and collecting is not worth another try", () => {
  for (const sandbox of ["none", "creating"]) {
    for (const state of ["queued", "starting", "interrupted"])
      expect(why(state, sandbox)).toEqual({ why: "it has no sandbox yet", retryable: true });
    for (const state of ["cancelled", "failed"])
      expect(why(state, sandbox)).toEqual({
        why: "it ended before it had a sandbox, so it has no files",
        retryable: false,
      });
  }
  expect(why("cancelled", "parked")).toBeNull();
});
