// Which tests belong to what has changed: files that are not committed, and commits that the upstream branch lacks.
import { execFileSync } from "node:child_process";

/** Folders of `src`, and names in the paths of the tests beyond the unit tests that show most of what can break there. */
const TESTS = {
  "src/config": ["e2e/bad-options"],
  "src/cli": ["e2e/gc"],
  "src/jobs": ["e2e/jobs", "e2e/restart", "e2e/snapshots"],
  "src/hosts": ["contract/host", "e2e/attacks-by-name", "e2e/attacks-by-users", "e2e/harness"],
  "src/prompt": ["e2e/told"],
  "src/providers": ["e2e/modal-choice"],
  "src/sandboxes/local": ["contract/local"],
  "src/sandboxes/modal": ["contract/modal"],
  "src/tools": ["e2e/tools", "e2e/told"],
  "src/workspace": ["contract/workspace", "e2e/collect"],
};

export function testsOfChanges() {
  const found = changedFiles().flatMap((file) => {
    const own = /^test\/(?:contract|e2e)\/.*\.test\.ts$/.test(file) ? [file] : [];
    return [
      ...own,
      ...Object.entries(TESTS).flatMap(([folder, tests]) => (file.startsWith(`${folder}/`) ? tests : [])),
    ];
  });
  return [...new Set(found)];
}

function changedFiles() {
  const git = (...words) => execFileSync("git", words, { encoding: "utf8" }).split("\n").filter(Boolean);
  let base = "HEAD";
  try {
    [base] = git("merge-base", "HEAD", "@{upstream}");
  } catch {
    // Without an upstream what is not committed counts.
  }
  return [...git("diff", "--name-only", base), ...git("ls-files", "--others", "--exclude-standard")];
}
