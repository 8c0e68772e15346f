// Which tests belong to what has changed: files that are not committed, and commits that the upstream branch lacks.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname } from "node:path";

/**
 * By folder of the repository, the files of tests that show most of what can break there: words in their paths. The
 * nearest folder counts. Unit tests always run, and so do the integration tests of the folder.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const TESTS_OF = {
  src: ["e2e/harness", "e2e/node"],
  "src/cli": ["e2e/gc", "integration/cli"],
  "src/config": ["e2e/bad-options"],
  "src/core": ["e2e/answers", "e2e/failures", "e2e/jobs"],
  "src/dashboard": ["integration/dashboard", "e2e/dashboard"],
  "src/export": ["integration/cli"],
  "src/hosts/opencode-1": [
    "e2e/attacks-by-name",
    "e2e/attacks-by-users",
    "e2e/harness",
    "e2e/given",
    "e2e/system-text",
  ],
  "src/hosts/shared": ["e2e/scope"],
  "src/jobs": ["e2e/jobs", "e2e/restart"],
  "src/jobs/actions": ["e2e/follow-ups", "e2e/waiting"],
  "src/jobs/environments": ["e2e/environments"],
  "src/jobs/bursts": ["contract/bursts", "contract/exchange", "e2e/modal-bursts"],
  "src/jobs/execution": ["e2e/answers", "e2e/jobs", "e2e/restart", "e2e/runs"],
  "src/jobs/live": ["e2e/views"],
  "src/jobs/measure": ["contract/measured-cheats", "e2e/measured", "e2e/modal-measured"],
  "src/jobs/notify": ["e2e/told", "e2e/undo", "e2e/waiting"],
  "src/jobs/project": ["e2e/collect.test", "e2e/experiments", "e2e/project-tree"],
  "src/jobs/queue": ["e2e/quota", "e2e/waiting"],
  "src/jobs/ranking": ["e2e/experiments"],
  "src/jobs/sandbox": ["e2e/job-files", "e2e/snapshots"],
  "src/jobs/snapshots": ["e2e/snapshots"],
  "src/jobs/sandbox/warm": ["e2e/reads-first", "e2e/warm", "integration/jobs/sandbox/warm"],
  "src/jobs/session": ["e2e/restart", "e2e/subagents"],
  "src/jobs/store": ["e2e/restart"],
  "src/lab": ["e2e/terminal"],
  "src/prompt": ["e2e/jobs", "e2e/told"],
  "src/providers": ["e2e/modal-choice"],
  "src/report": ["integration/cli", "e2e/report-page"],
  "src/sandboxes": ["contract/local.test", "contract/modal.test"],
  "src/sandboxes/local": ["contract/local"],
  "src/sandboxes/modal": ["contract/modal"],
  "src/shared": ["e2e/jobs"],
  "src/tools": ["e2e/bad-input", "e2e/tools"],
  "src/tui": ["integration/tui", "e2e/terminal"],
  "src/views": ["e2e/jobs"],
  "src/workspace": ["contract/workspace-in", "e2e/collect"],
  "src/workspace/collect": ["contract/workspace-exact", "contract/workspace-files", "e2e/collect"],
  "src/workspace/exchange": ["contract/exchange"],
  "src/workspace/measure": ["contract/measured-cheats"],
  "src/workspace/project": ["contract/workspace-home", "contract/workspace-update", "e2e/project-tree"],
  "src/workspace/sandbox": ["contract/workspace-local", "e2e/collect.test"],
  skills: ["programs/skills"],
  "test/live": ["contract/live-checks"],
  "test/demo": ["programs/demo", "e2e/demo"],
  "test/support": ["integration/support"],
};

/**
 * @param {readonly string[]} files changed files, relative to the repository
 * @returns {string[]} words in the paths of the tests beyond the unit tests
 */
export function testsOf(files) {
  return [...new Set(files.flatMap((file) => [...ownTest(file), ...integrationTests(file), ...nearest(file)]))];
}

/** @returns {string[]} */
export function testsOfChanges() {
  return testsOf(changedFiles());
}

/** @param {string} file @returns {string[]} */
function ownTest(file) {
  return /^test\/(?!unit\/).*\.test\.ts$/.test(file) && existsSync(file) ? [file] : [];
}

/** @param {string} file @returns {string[]} */
function integrationTests(file) {
  const folder = dirname(file).replace(/^src\//, "test/integration/");
  return folder !== dirname(file) && existsSync(folder) ? [folder] : [];
}

/** @param {string} file @returns {readonly string[]} */
function nearest(file) {
  for (let folder = dirname(file); folder !== "."; folder = dirname(folder)) {
    const tests = TESTS_OF[folder];
    if (tests) return tests;
  }
  return [];
}

/** @returns {string[]} */
function changedFiles() {
  /** @param {string[]} words */
  const git = (...words) => execFileSync("git", words, { encoding: "utf8" }).split("\n").filter(Boolean);
  let base = "HEAD";
  try {
    base = git("merge-base", "HEAD", "@{upstream}")[0] ?? base;
  } catch {
    // Without an upstream what is not committed counts.
  }
  return [...git("diff", "--name-only", base), ...git("ls-files", "--others", "--exclude-standard")];
}
