// What `npm test` leaves to `npm run test:all`, so that it takes minutes: together these files take four fifths of the time.

/**
 * By subject, the files, as words in their paths. What remains starts the same parts of the product in the real OpenCode;
 * these play all of a kind, or take one subject to its end.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const LONG_TESTS = {
  "attacks of every kind, beside those from a sandbox": [
    "contract/local-attacks-machine",
    "contract/local-attacks-stop",
    "contract/local-hostile-tree",
    "contract/measured-cheats",
    "contract/workspace-local-attacks",
    "e2e/attacks-after-restart",
    "e2e/attacks-by",
    "e2e/attacks-over-http",
    "e2e/modal-attacks",
  ],
  "faults of the Modal server, one by one": [
    "contract/modal-faults",
    "contract/modal-slow-end",
    "e2e/modal-capacity",
    "e2e/modal-choice",
    "e2e/modal-faults",
    "e2e/modal-mounts",
    "e2e/modal-sources",
  ],
  "OpenCode killed at many moments": [
    "contract/bursts-killed",
    "e2e/chaos",
    "e2e/modal-away",
    "e2e/modal-restart",
    "e2e/replay",
    "e2e/restart",
  ],
  "projects of unusual sizes and shapes": [
    "contract/workspace-closed-folders",
    "contract/workspace-exact",
    "contract/workspace-full-size",
    "contract/workspace-git-files",
    "contract/workspace-job-settings",
    "contract/workspace-lost-objects",
    "contract/workspace-modal",
    "contract/workspace-owners",
    "contract/workspace-shapes",
    "contract/workspace-stop",
    "contract/workspace-unusual",
    "contract/workspace-update",
    "e2e/project-tree",
    "integration/jobs/project/old-files",
  ],
  "environments and sandboxes kept ready": [
    "e2e/reads-first",
    "e2e/reuse",
    "e2e/side-by-side",
    "e2e/warm",
    "integration/jobs/environments",
  ],
  "limits of time, money and places": ["e2e/deadlines", "e2e/modal-batch", "e2e/modal-money", "e2e/quota"],
  "what is said to agents, and what they may ask": [
    "e2e/answers",
    "e2e/bad-input",
    "e2e/bad-options",
    "e2e/failures",
    "e2e/follow-ups",
    "e2e/given",
    "e2e/model-requests",
    "e2e/odd-answers",
    "e2e/system-text",
    "e2e/told",
    "e2e/tools",
    "e2e/waiting",
  ],
  "results and what becomes of them": [
    "e2e/collect",
    "e2e/damaged-state",
    "e2e/experiments",
    "e2e/job-files",
    "e2e/later-session",
    "e2e/measured",
    "e2e/modal-bursts",
    "e2e/modal-jobs",
    "e2e/modal-measured",
    "e2e/research",
    "e2e/runs",
    "e2e/snapshots",
    "e2e/undo",
  ],
  "programs as users start them": [
    "contract/host-opencode-1-own-instance",
    "contract/live-checks",
    "e2e/dashboard-session",
    "e2e/dashboard-windows",
    "e2e/demo",
    "e2e/gc",
    "e2e/guarded-server",
    "e2e/harness",
    "e2e/loaded-twice",
    "e2e/own-instance",
    "e2e/terminal-faults",
    "e2e/terminal-parts",
    "integration/cli/doctor",
    "programs/demo/golf",
    "programs/skills/mnist",
    "programs/skills/run-proxy",
  ],
  "the Modal server that tests use": ["integration/support/modal-server"],
};

/** @param {string} path of a file of tests */
export const isLong = (path) =>
  Object.values(LONG_TESTS)
    .flat()
    .some((words) => path.includes(words));
