import { expect, test } from "bun:test";
import { type CollectedChanges, renderCollected, renderFiles } from "../../../src/prompt/collected.ts";
import { FILE_LIMITS, tooLarge } from "../../../src/workspace/collect/select-files.ts";

const nothing = {
  job: { id: "job_1", base: null, notes: [] },
  source: { kind: "sandbox" },
  built: { base: "b".repeat(40), commits: [], leftOut: [], attention: [], notes: [], remarks: [] },
  branch: null,
  isWritten: false,
  unmatched: [],
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

const some = { files: 1, insertions: 1, deletions: 1 };
const commits = [{ id: "c".repeat(40), subject: "Add up" }];
const branchOn = (head: string | null): CollectedChanges => ({
  ...nothing,
  built: { ...nothing.built, head, commits },
  branch: "agents/job_1",
  isWritten: true,
  stat: some,
});

test("a branch that begins with the user's uncommitted changes says why git may refuse to merge it, and what to do", () => {
  for (const head of ["a".repeat(40), null]) {
    const { output } = renderCollected(branchOn(head), null);
    expect(output).toContain(
      "It merges cleanly with the project as it is now.\nIt begins with bbbbbbbbbbbb, which holds",
    );
    expect(output).toContain("git refuses to merge it");
    expect(output).toContain(
      'mode "patch", or, once those are committed, with git cherry-pick bbbbbbbbbbbb..agents/job_1.',
    );
  }
  expect(renderCollected(branchOn("b".repeat(40)), null).output).not.toContain("begins with");
  const patch = { ...branchOn("a".repeat(40)), branch: null };
  expect(renderCollected(patch, "work.patch").output).not.toContain("begins with");
});

test("a patch names the folder to apply it in where OpenCode is open below it: git apply skips what lies outside without a word", () => {
  const patch = { ...branchOn("b".repeat(40)), branch: null };
  expect(renderCollected(patch, "work.patch").output).toContain("Apply it with git apply.");
  const { output } = renderCollected(patch, "work.patch", "/home/me/it's mine");
  expect(output).toContain("Apply it with git -C '/home/me/it'\\''s mine' apply work.patch: in a folder below");
});

test("a patch of some paths names those under which no changed file lies, and says that an earlier one stays where none was made", () => {
  const patch = { ...branchOn("b".repeat(40)), branch: null, unmatched: ["docs/", "a[1].txt"] };
  const made = renderCollected(patch, "work.patch");
  expect(made.output).toContain("\nNo changed file is at docs/.\nNo changed file is at a[1].txt. Brackets in paths");
  expect(made.metadata).toMatchObject({ unmatched: ["docs/", "a[1].txt"] });
  const none = { ...patch, isWritten: false, stat: { files: 0, insertions: 0, deletions: 0 } };
  const { output } = renderCollected(none, "work.patch");
  expect(output).toStartWith(
    "job_1 changed nothing in these paths, so no patch was made; one that was at work.patch before is still there.",
  );
  expect(output).not.toContain("merges");
});

test("copied files are named with the root that their paths start from, and small ones with their bytes", () => {
  const file = { path: "a.txt", bytes: 2 };
  const files = { ...nothing, files: [file], leftOut: [], unmatched: [], attention: [], notes: [] };
  expect(renderFiles(files, "out").output).toStartWith("Wrote 1 file, 2 bytes, of job_1 to out/. ");
  const { output } = renderFiles(files, "out", "/home/me/mine");
  expect(output).toStartWith("Wrote 1 file, 2 bytes, of job_1 to out/ in /home/me/mine. ");
  expect(output).toContain("- a.txt (2 bytes)");
});

test("one commit is one", () => {
  expect(renderCollected(branchOn("b".repeat(40)), null).output).toContain("of job_1: 1 commit, 1 file, +1 -1.");
});

test("a file that is too large is left out with the way in which it comes", () => {
  const leftOut = [{ path: "model.pt", why: tooLarge(FILE_LIMITS), bytes: 3 * 1024 ** 3 }];
  const files = { ...nothing, files: [], leftOut, unmatched: [], attention: [], notes: [] };
  const way = 'start a run "from": "job_1" with the command "split -b 900M';
  expect(() => renderFiles(files, "out")).toThrow(way);
  const some = { ...files, files: [{ path: "a.txt", bytes: 2 }] };
  expect(renderFiles(some, "out").output).toContain(way);
  expect(renderFiles({ ...some, leftOut: [] }, "out").output).not.toContain("in parts");
});
