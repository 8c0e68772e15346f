import { expect, test } from "bun:test";
import { type CollectedChanges, renderCollected } from "../../../src/prompt/collected.ts";

const nothing = {
  job: { id: "job_1", base: null, notes: [] },
  source: { kind: "sandbox" },
  built: { base: "b".repeat(40), commits: [], leftOut: [], attention: [], notes: [], remarks: [] },
  branch: null,
  isWritten: false,
  stat: { files: 0, insertions: 0, deletions: 0 },
  preview: { kind: "clean" },
  overlaps: new Map(),
} as unknown as CollectedChanges;

test("a job that changed nothing has neither a branch nor a patch, and the answer says so", () => {
  for (const patch of [null, "work.patch"]) {
    const { output, metadata } = renderCollected(nothing, patch);
    expect(output).toBe(`job_1 changed nothing, so no ${patch === null ? "branch" : "patch"} was made.`);
    expect(Object.keys(metadata)).not.toContainAnyValues(["branch", "patch"]);
  }
});

test("a job of which everything was left out has no branch, and the answer names what was left out", () => {
  const leftOut = [{ path: "own", why: "it is a repository", bytes: null }];
  const { output } = renderCollected({ ...nothing, built: { ...nothing.built, leftOut } }, null);
  expect(output).toBe(
    "job_1 has no changes that can be taken, so no branch was made.\nLeft out 1:\n- own: it is a repository",
  );
});

test("a branch under another name says why it is called that", () => {
  const { output } = renderCollected({ ...nothing, branch: "agents-job_1", isWritten: true }, null);
  expect(output).toContain("your other branches leave no place for a branch agents/<job id>");
});
