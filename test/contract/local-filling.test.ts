import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FifoPool } from "../../src/sandboxes/local/fifo-pool.ts";
import type { Isolation, IsolationBackend, IsolationPlan } from "../../src/sandboxes/local/isolation.ts";
import { LocalSandbox } from "../../src/sandboxes/local/local-sandbox.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { pause, until } from "../support/wait.ts";
import { bubblewrapBackend, planInMaking } from "./filling-support.ts";
import { cgroups, childrenOf, descendants, newRoot, startTimeOf, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

/* A sandbox whose isolation is opened while its files are still copied. */

const why = await whyNoIsolation();

describe.skipIf(why !== null)(
  `an isolation that is opened while its files come${why ? ` (skipped: ${why})` : ""}`,
  () => {
    const rootDir = newRoot();
    const fifos = new FifoPool();
    let backend: IsolationBackend;
    beforeAll(async () => {
      backend = await bubblewrapBackend(rootDir);
    });
    afterAll(() => {
      fifos.close();
      rmSync(rootDir, { recursive: true, force: true });
    });
    const isolating = () => childrenOf(process.pid).some((each) => each.includes("bwrap"));
    const sandboxOf = (isolation: Isolation, { id, dirs, limits }: IsolationPlan) =>
    new LocalSandbox({
      id, dirs, limits, isolation, fifos, clock: systemClock, terminate: () => isolation.close(null), openView: null,
    }); // biome-ignore format: one line

    test("opens when they are there, and shows them under the name that they get later", async () => {
      const { plan, making, filling } = planInMaking(rootDir, "open");
      let isOpen = false;
      const opening = backend.open(plan).finally(() => {
        isOpen = true;
      });
      await until(isolating, { what: "bwrap has been started" });
      await pause(500);
      expect(isOpen).toBe(false);
      writeFileSync(join(making.workspace, "late"), "here\n");
      filling.resolve();
      const isolation = await opening;
      renameSync(making.root, plan.dirs.root);
      const sandbox = sandboxOf(isolation, plan);
      expect((await sh(sandbox, "cat late; echo written > new; cat /etc/resolv.conf >/dev/null")).stdout).toBe(
        "here\n",
      );
      expect(await Bun.file(join(plan.dirs.workspace, "new")).text()).toBe("written\n");
      await isolation.maintain(); // it writes to the directory by its name
      await sandbox.halt(null);
    });

    test("ends, and leaves nothing, where they do not come", async () => {
      const { plan, filling } = planInMaking(rootDir, "open");
      const opening = backend.open(plan);
      await until(isolating, { what: "bwrap has been started" });
      filling.reject(new Error("the copy failed"));
      await expect(opening).rejects.toThrow("the copy failed");
      expect([...childrenOf(process.pid), ...cgroups()]).toEqual([]);
    });

    test("leaves no process when its host process is killed while it waits", async () => {
      const main = [join(import.meta.dir, "filling-host-main.ts"), rootDir];
      const host = spawn(process.execPath, main, { stdio: ["ignore", "pipe", "inherit"] });
      try {
        await once(host.stdout, "data");
        const all = await until(
          () => {
            const found = descendants(host.pid as number);
            return found.some(({ command }) => /slirp4netns|bwrap/.test(command)) ? found : null;
          },
          { what: "bwrap waits" },
        );
        await pause(200);
        all.push(...descendants(host.pid as number));
        host.kill("SIGKILL");
        const alive = () => all.filter(({ pid, startedAt }) => startedAt !== null && startTimeOf(pid) === startedAt);
        await until(() => alive().length === 0, { what: "all have ended", timeoutMs: 5_000 }).catch(() => {});
        expect(alive()).toEqual([]);
      } finally {
        host.kill("SIGKILL");
      }
    });
  },
);
