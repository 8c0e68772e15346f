import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freezeCgroup } from "../../src/sandboxes/local/bubblewrap/cgroup-freezer.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { until } from "../support/wait.ts";

const folder = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
  .map((root) => join(root, `freezer-test-${process.pid}`))
  .find((path) => {
    try {
      mkdirSync(path);
      readFileSync(join(path, "cgroup.freeze"));
      return true;
    } catch {
      return false; // this user may not make it, or it is version 1
    }
  });

test.skipIf(folder === undefined)("a frozen cgroup stops, can be resumed, and can be killed while frozen", async () => {
  const path = folder as string;
  const child = spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
  const ticks = () => readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ").slice(13, 15).join();
  try {
    writeFileSync(join(path, "cgroup.procs"), String(child.pid));
    const resume = await freezeCgroup(path, systemClock);
    const before = ticks();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ticks()).toBe(before);
    await resume?.();
    await until(() => ticks() !== before, { what: "it goes on" });
    expect(await freezeCgroup(path, systemClock)).not.toBeNull();
    child.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    expect(await freezeCgroup(join(path, "none"), systemClock)).toBeNull();
  } finally {
    child.kill("SIGKILL");
    await ended;
    const remove = () => {
      rmdirSync(path);
      return true;
    };
    await until(remove, { what: "it is removed" });
  }
});
