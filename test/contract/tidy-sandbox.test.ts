import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { RUN_VARIABLE } from "../../src/core/run-variable.ts";
import { lookAtLeftovers, recordBeginning, removeLeftovers } from "../../src/jobs/sandbox/tidy-sandbox.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();

/* What is left of a run in a sandbox that the next one gets: nothing that could change what that one does. */

describe.skipIf(why !== null)(`a sandbox after a run${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  let provider: SandboxProvider;
  beforeAll(() => {
    provider = localProvider(rootDir);
  });
  afterAll(async () => {
    await provider.close();
    rmSync(rootDir, { recursive: true, force: true });
  });

  const SETUP = `git init -q . && printf 'cache/\\n*.log\\n' > .gitignore && echo one > tracked && mkdir sub empty && echo two > sub/file
    git add -A && git -c user.name=x -c user.email=x@y commit -qm base && echo before > /tmp/before`;
  const after = async (command: string, use: (sandbox: Sandbox) => Promise<void>, setUp = SETUP) => {
    const sandbox = await provider.create(localSpec());
    try {
      await sh(sandbox, setUp);
      expect(await recordBeginning(sandbox, systemClock)).toBe(true);
      await sh(sandbox, command, { env: { [RUN_VARIABLE]: "job_a" } });
      await use(sandbox);
    } finally {
      await sandbox.terminate();
    }
  };
  const look = (sandbox: Sandbox) => lookAtLeftovers(sandbox, systemClock);
  const list = async (sandbox: Sandbox) => (await sh(sandbox, "git status --porcelain; ls /tmp")).stdout;

  test("one that wrote only elsewhere, and what Python compiles, has left nothing: that stays, /tmp and its processes go", () =>
    after(
      `mkdir -p sub/__pycache__; echo p > sub/__pycache__/m.pyc
       echo installed > ~/tool; echo lock > /tmp/lock; echo shm > /dev/shm/left
       setsid sh -c 'sleep 600' >/dev/null 2>&1 & sleep 0.1`,
      async (sandbox) => {
        expect(await look(sandbox)).toEqual({ kind: "none" });
        expect(await list(sandbox)).toBe("?? sub/__pycache__/\nbefore\n");
        const { stdout } = await sh(
          sandbox,
          "cat ~/tool; ls /dev/shm; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 60[0]'",
        );
        expect(stdout).toBe("installed\n0\n");
        expect(await look(sandbox)).toEqual({ kind: "none" }); // the next one finds the same
      },
    ));

  test("new files are its work, those that git ignores too; they are removed, and the folders made for them", () =>
    after(
      "mkdir -p out/deep cache; echo 1 > out/deep/result.json; echo 2 > 'out/with space'; echo 3 > cache/data; echo 4 > run.log; echo t > /tmp/t; mkdir bare",
      async (sandbox) => {
        const found = await look(sandbox);
        expect(found).toEqual({
          kind: "files",
          names: ["./cache/data", "./out/deep/result.json", "./out/with space", "./run.log"],
        });
        await removeLeftovers(sandbox, found.kind === "files" ? found.names : [], systemClock);
        expect(await list(sandbox)).toBe("before\n");
        expect((await sh(sandbox, "ls")).stdout).toBe("empty\nsub\ntracked\n");
        expect(await look(sandbox)).toEqual({ kind: "none" });
      },
    ));

  const changes = [
    ["a file that it had found was changed", "echo more >> tracked"],
    ["it was changed, and its time set back", "echo more >> tracked; touch -d '2001-01-01' tracked"],
    ["it was replaced by another", "echo other > new; mv new tracked"],
    ["it was removed", "rm sub/file"],
    ["a folder was removed", "rmdir empty"],
    ["its mode was changed", "chmod +x tracked"],
    ["a commit was made", "echo n > n; git add n; git -c user.name=x -c user.email=x@y commit -qm more"],
    ["another branch was taken", "git checkout -qb other"],
    ["a hook was put in place", "echo x > .git/hooks/post-checkout"],
    ["a name has a line break", "echo x > 'a\nb'"],
    ["a process does not say whose it is", "(env -i setsid sleep 601 >/dev/null 2>&1 &); sleep 0.1"],
    ["its mark was removed", "rm -r /tmp/.parallel-agents-reuse"],
  ] as const;
  for (const [what, command] of changes)
    test(`it is not given on where ${what}`, () =>
      after(command, async (sandbox) => expect((await look(sandbox)).kind).toBe("changes")));

  const WITH_CACHE = `${SETUP}; mkdir cache; echo first > cache/last`;
  test("what git ignores and was there before stays", () =>
    after(
      "cat cache/last; echo 1 > cache/new",
      async (sandbox) => {
        const found = await look(sandbox);
        expect(found).toEqual({ kind: "files", names: ["./cache/new"] });
        await removeLeftovers(sandbox, found.kind === "files" ? found.names : [], systemClock);
        expect((await sh(sandbox, "ls cache")).stdout).toBe("last\n");
      },
      WITH_CACHE,
    ));

  test("it is not given on where a file that git ignores was there before and was changed", () =>
    after("echo 1 > cache/last", async (sandbox) => expect((await look(sandbox)).kind).toBe("changes"), WITH_CACHE));

  test("without a repository every new file is its work", () =>
    after(
      "echo 1 > b; mkdir __pycache__; echo 2 > __pycache__/c",
      async (sandbox) => expect(await look(sandbox)).toEqual({ kind: "files", names: ["./b"] }),
      "echo 0 > a",
    ));
});
