import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { shellLaunchers } from "../../src/sandboxes/local/bubblewrap/launchers.ts";
import { readReport, startBwrap } from "../../src/sandboxes/local/bubblewrap/start-bwrap.ts";
import { findTool } from "../../src/sandboxes/local/host-tools.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { until } from "../support/wait.ts";

// `yes` stands for the first process: it goes on until it is killed.
const ARGS = [
  "--unshare-all", "--die-with-parent", "--as-pid-1", "--info-fd", "7", "--block-fd", "8", "--ro-bind", "/", "/",
  "--tmpfs", "/run", "--symlink", "/usr/bin/yes", "/run/.first",
]; // biome-ignore format: one line for each purpose
const NOTHING = Buffer.from("nothing");
const launchers = shellLaunchers(findTool("setpriv") ?? "");
const files = { filter: NOTHING, first: NOTHING, entry: NOTHING };
const start = (bwrap = findTool("bwrap") ?? "") => startBwrap({ bwrap, launchers, args: ARGS, files, cgroupProcs: [] });

const stateOf = (pid: number): string => {
  try {
    return /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
  } catch {
    return "gone";
  }
};

test.skipIf(!canIsolate())("a sandbox given up while it is being made leaves no process", async () => {
  const bwrap = start();
  const first = (await readReport(bwrap.output))["child-pid"] as number;
  bwrap.giveUp();
  await bwrap.gone;
  await until(() => ["Z", "gone"].includes(stateOf(first)), { what: "its first process has ended", timeoutMs: 5_000 });
});

test("a bwrap that fails at once says how it ended", async () => {
  const bwrap = start("/nowhere/bwrap");
  await expect(bwrap.output("}")).rejects.toThrow("bwrap ended at once");
  expect(bwrap.stderr()).toContain("/nowhere/bwrap");
});
