import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { createBurstFiles } from "../../src/jobs/bursts/burst-files.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { changedThere, planReturn } from "../../src/workspace/exchange/file-plan.ts";
import { pairCopy } from "../../src/workspace/exchange/file-trees.ts";
import { listTree } from "../../src/workspace/exchange/list-tree.ts";
import { carryOut, recoverStage, stageFiles } from "../../src/workspace/exchange/send-files.ts";
import { leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

/** Files that go from one sandbox into another. */

const rootDir = newRoot();
const provider = localProvider(rootDir);
afterAll(async () => {
  await provider.close();
  expect(await leftOf(rootDir)).toEqual([]);
  rmSync(rootDir, { recursive: true, force: true });
});
const bounds = { clock: systemClock, limitMs: 60_000 };
const why = await whyNoIsolation();
if (why !== null) test.skip(`bubblewrap was left out: ${why}`, () => {});

const said = async (sandbox: Sandbox, command: string): Promise<string> => (await sh(sandbox, command)).stdout.trim();
const FILES = "find . -mindepth 1 | LC_ALL=C sort | tr '\\n' ' '";

/** The same sandbox, whose commands find other programs first. */
const withPrograms = (sandbox: Sandbox, PATH: string): Sandbox =>
  new Proxy(sandbox, {
    get(target, key) {
      if (key === "start")
        return (request: Parameters<Sandbox["start"]>[0]) =>
          target.start({ ...request, env: { ...request.env, PATH } });
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

/** Two sandboxes with the same files, of which the second has run a command. */
async function withPair(set: string, done: string, own: string, use: (here: Sandbox, there: Sandbox) => Promise<void>) {
  const here = await provider.create(localSpec());
  await said(here, set);
  const before = (await listTree(here, bounds)).tree;
  const taken = await provider.snapshots?.take(here, null, null);
  const there = await provider.create(localSpec({ snapshotID: taken?.id ?? null }));
  try {
    const known = pairCopy(before, (await listTree(there, bounds)).tree);
    expect(known.apart.size).toBe(0);
    await said(there, done);
    await said(here, own);
    const now = (await listTree(there, bounds)).tree;
    const missing = await stageFiles(there, here, changedThere(known, now), "one", bounds);
    expect(missing).toEqual([]);
    const plan = planReturn(known, (await listTree(here, bounds)).tree, now);
    expect((await carryOut(here, plan, "one", bounds)).failed).toEqual([]);
    await use(here, there);
  } finally {
    await here.terminate();
    await there.terminate();
    if (taken) await provider.snapshots?.remove(taken.id);
  }
}

describe.skipIf(why !== null)("files of another sandbox", () => {
  test("come with modes, links, odd names and removals, and what git ignores", async () => {
    const set = "mkdir -p old/deep keep; echo 1 > old/deep/a; echo 1 > keep/b; ln -s keep link; echo x > gone; chmod 755 keep";
    const done = `rm gone; mv old new; echo 2 > keep/b; chmod 700 keep/b; rm link; ln -s new/deep link; printf '*.pt\\n' > .gitignore
      head -c 300000 /dev/urandom > model.pt; echo q > "$(printf 'new\\nline')"; echo q > ' -rf *'; printf q > "$(printf 'caf\\351')"; mkdir -p empty/inner; chmod 500 empty; ln model.pt hard`;
    await withPair(set, done, "true", async (here, there) => {
      expect(await said(here, FILES)).toBe(await said(there, FILES));
      const sums = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; stat -c '%a %n' keep/b empty; readlink link";
      expect(await said(here, sums)).toBe(await said(there, sums));
      expect(await said(here, "ls /tmp/.parallel* .parallel* 2>/dev/null")).toBe("");
    });
  }); // biome-ignore format: long commands

  test("do not replace what the job has changed, nor follow its links out of the work directory", async () => {
    const set = "mkdir out both; echo 1 > same; echo 1 > mine; echo 1 > both/x";
    const done = "echo gpu > out/file; echo gpu > mine; echo 2 > same; echo gpu > both/x";
    const own =
      'echo own > mine; echo 2 > same; rm -r out; mkdir "$HOME/outside"; ln -s "$HOME/outside" out; rm both/x; mkdir both/x';
    await withPair(set, done, own, async (here) => {
      expect(await said(here, "cat mine mine.from-gpu same; ls same.from-gpu 2>/dev/null; ls $HOME/outside; cat out.from-gpu/file both/x.from-gpu")).toBe("own\ngpu\n2\ngpu\ngpu"); // biome-ignore format: one line
    });
  });

  test("are all there or none after the last step was cut off anywhere", async () => {
    const there = await provider.create(localSpec());
    const files = Array.from({ length: 6 }, (_, index) => `f${index}`);
    await said(there, files.map((name) => `echo new > ${name}`).join("; "));
    for (let step = 0; step <= files.length; step++) {
      const here = await provider.create(localSpec());
      await said(here, `${files.map((name) => `echo old > ${name}`).join("; ")}; echo x > gone`);
      const base = (await listTree(here, bounds)).tree;
      await stageFiles(there, here, files, "cut", bounds);
      const plan = { remove: ["gone"], removeFolders: [], folders: [], put: files, beside: [], kept: [], closed: [] };
      // A machine on which the n-th move is the last thing that happens.
      const limit = `n=$(cat /tmp/n 2>/dev/null || echo 0); [ "$n" -lt ${step} ] || kill -9 0; echo $((n + 1)) > /tmp/n; exec /bin/mv "$@"`;
      await said(here, `mkdir /tmp/bin; printf '%s\\n' '#!/bin/sh' '${limit}' > /tmp/bin/mv; chmod 755 /tmp/bin/mv`);
      const cut = withPrograms(here, "/tmp/bin:/bin:/usr/bin");
      await carryOut(cut, plan, "cut", bounds).catch(() => {});
      const how = await recoverStage(here, bounds);
      expect([step, how]).toEqual([step, step === 0 ? "undone" : "finished"]);
      expect(await said(here, `cat ${files.join(" ")} | sort -u; ls gone 2>/dev/null`)).toBe(step === 0 ? "old\ngone" : "new");
      expect((await listTree(here, bounds)).tree.size).toBe(step === 0 ? base.size : files.length);
      await here.terminate();
    }
    await there.terminate();
  }); // biome-ignore format: long commands

  test("are not taken for removed, or for whole, where a program was killed or cut off", async () => {
    const sandbox = await provider.create(localSpec());
    const program = (name: string, script: string) =>
      said(sandbox, `mkdir -p /tmp/bin; printf '%s\\n' '#!/bin/sh' '${script}' > /tmp/bin/${name}; chmod 755 /tmp/bin/${name}`);
    const cut = withPrograms(sandbox, "/tmp/bin:/bin:/usr/bin");
    const whole = await provider.create(localSpec());
    for (const one of [sandbox, whole]) await said(one, "for n in 1 2 3; do head -c 100000 /dev/urandom > f$n; done");
    await program("find", 'case "$*" in *maxdepth*) exec /usr/bin/find "$@";; esac; /usr/bin/find "$@" | head -c 100; kill -9 $$');
    await expect(listTree(cut, bounds)).rejects.toThrow("find(1) was killed there");
    await program("gzip", '/bin/gzip "$@" | head -c 150000');
    await expect(stageFiles(whole, cut, ["f1", "f2", "f3"], "cut", bounds)).rejects.toThrow("Could not unpack");
    await sandbox.terminate();
    await whole.terminate();
  }); // biome-ignore format: long commands

  for (const [how, command] of [["chmod 000 data"], ["chmod -R 644 data"], ["chmod 000 data", "no -printf"]].map(
    ([first = "", second]) => [second ? `${first}, without -printf` : first, first] as const,
  ))
    test(`stay in a folder that a command has closed, which is named (${how})`, async () => {
      const here = await provider.create(localSpec());
      await said(here, "mkdir -p data/sub; echo 1 > data/a; echo 1 > data/sub/b; echo 1 > other");
      const before = (await listTree(here, bounds)).tree;
      const taken = await provider.snapshots?.take(here, null, null);
      const there = await provider.create(localSpec({ snapshotID: taken?.id ?? null }));
      try {
        const noPrintf = `case "$*" in *printf*) case "$*" in *-exec*) ;; *) exit 1;; esac;; esac; exec /usr/bin/find "$@"`;
        await said(there, `mkdir /tmp/bin; printf '%s\\n' '#!/bin/sh' '${noPrintf}' > /tmp/bin/find; chmod 755 /tmp/bin/find`);
        const other = how.endsWith("-printf") ? withPrograms(there, "/tmp/bin:/bin:/usr/bin") : there;
        let id = 0;
        const files = createBurstFiles({ clock: systemClock, ids: () => `x${++id}` }, other, before);
        const run = async (sandboxCommand: string, own = "true") => {
          const { signal } = new AbortController();
          await files.send(here, signal);
          await said(there, sandboxCommand);
          await said(here, own);
          return files.bringBack(here, { limitMs: 60_000, signal, exclusively: (work) => work(), onPlace: () => {} });
        };
        expect(await run(`echo gpu > data/a; ${command}; rm other`)).toMatchObject({ put: 0, removed: 1, failed: ["data/"] });
        expect(await said(here, "cat data/a data/sub/b; ls")).toBe("1\n1\ndata");
        // The next command finds the files as the job has them.
        expect(await run("cat data/a > got")).toMatchObject({ put: 1, failed: [] });
        expect(await said(here, "cat got data/a data/sub/b")).toBe("1\n1\n1");
        expect(await said(there, "cat data/a; stat -c %a data")).toBe("1\n755");
        // Nor is anything removed there, or replaced here, when the job itself closes a folder.
        expect(await run("chmod 755 data; echo gpu > data/a", "chmod 000 data")).toMatchObject({ put: 0, removed: 0, failed: ["data/"] });
        expect(await said(here, "chmod 755 data; cat data/a data/sub/b")).toBe("1\n1");
        await said(here, "chmod 000 data");
        expect(await run("true")).toMatchObject({ put: 0, removed: 0, failed: [] });
        expect(await said(there, "chmod -R 755 data; cat data/a")).toBe("gpu");
      } finally {
        await said(here, "chmod -R 755 data");
        await said(there, "chmod -R 755 data");
        await here.terminate();
        await there.terminate();
        if (taken) await provider.snapshots?.remove(taken.id);
      }
    }); // biome-ignore format: long commands
});
