import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { withFrozenFiles } from "../../src/sandboxes/with-frozen-files.ts";
import { type Clock, systemClock } from "../../src/shared/clock.ts";
import { buildCommits } from "../../src/workspace/collect/build-commits.ts";
import type { TreeBase } from "../../src/workspace/project/capture-tree.ts";
import { identityOf } from "../../src/workspace/project/identity.ts";
import { fetchChanges } from "../../src/workspace/sandbox/fetch-changes.ts";
import { bubblewrap } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { captureNow, type Desk, openDesk, runIn, send, withSandbox } from "./workspace-support.ts";

/** Runs timers of a minute or more 20 times faster, so that a hanging command is given up soon. */
const clock: Clock = { now: systemClock.now, after: (ms, done) => systemClock.after(ms < 60_000 ? ms : ms / 20, done) };

/** Ways in which a job tries to keep its changes from being fetched. */
const OBSTRUCTIONS: readonly (readonly [string, string])[] = [
  ["holds git's locks", "touch .git/index.lock .git/HEAD.lock .git/packed-refs.lock .git/config.lock"],
  ["has pipes for git's files", "for f in HEAD config index info/exclude; do rm -f .git/$f; mkfifo .git/$f; done"],
  [
    "makes its git hang in every hook and monitor",
    "printf '#!/bin/sh\nsleep 1009\n' > /tmp/hang; chmod +x /tmp/hang; mkdir -p .git/hooks; git config core.fsmonitor /tmp/hang; git config filter.x.clean /tmp/hang; echo '* filter=x' > .git/info/attributes; for h in pre-commit post-index-change reference-transaction; do cp /tmp/hang .git/hooks/$h; done",
  ],
  [
    "puts programs of its own before git",
    "mkdir -p ~/bin ~/.local/bin; for f in git sh cat find; do printf '#!/bin/sh\nsleep 1009\n' | tee ~/bin/$f > ~/.local/bin/$f; chmod +x ~/bin/$f ~/.local/bin/$f; done; echo 'PATH=~/bin:$PATH' | tee ~/.profile > ~/.bashrc",
  ],
  ["takes away its own permissions on its folders", "chmod 000 /tmp ~ .; sleep 1009 &"],
  [
    "stops everything that runs",
    `python3 -c "
import os, signal
while True:
  for name in os.listdir('/proc'):
    if name.isdigit() and int(name) not in (1, os.getpid()):
      try: os.kill(int(name), signal.SIGSTOP)
      except OSError: pass
" >/dev/null 2>&1 &`,
  ],
];

describe.skipIf(!bubblewrap)(`the changes of a job${bubblewrap ? "" : " (skipped)"}`, () => {
  let desk: Desk;
  let base: TreeBase;
  beforeAll(async () => {
    desk = await openDesk(localProvider);
    base = await captureNow(desk.store);
  });
  afterAll(() => desk.close());

  const inJob = (use: (sandbox: Sandbox) => Promise<void>) =>
    withSandbox(desk.provider, localSpec(), async (sandbox) => {
      await send(desk.store, base, sandbox);
      await use(sandbox);
    });
  const fetchFrom = (sandbox: Sandbox) =>
    withFrozenFiles(sandbox, (files) =>
      fetchChanges({ store: desk.store, base, jobID: "job_held", sandbox: files, clock, scratchID: "work" }),
    );

  for (const [what, script] of OBSTRUCTIONS)
    test(`are fetched although the job ${what}`, async () => {
      await inJob(async (sandbox) => {
        await runIn(sandbox, `echo new > changed.txt; ${script}`);
        const changes = await fetchFrom(sandbox);
        const { store } = desk;
        const identity = await identityOf(store);
        const built = await buildCommits({ store, base, changes, jobID: "job_held", scratchID: "build", identity });
        expect(built.changed).toContain("changed.txt");
      });
    });

  test("cannot be fetched while pipes replace git's settings among its files, and the error names the pipes", async () => {
    await inJob(async (sandbox) => {
      await runIn(sandbox, "mkdir -p deep; rm -f .gitignore; mkfifo .gitignore deep/.gitattributes");
      await expect(fetchFrom(sandbox)).rejects.toMatchObject({
        code: "collect_failed",
        message: expect.stringMatching(/pipes in places that git reads.*deep\/\.gitattributes/),
      });
    });
  });
});
