import { expect, test } from "bun:test";
import { processLimits, unenforcedLimits } from "../../../../src/sandboxes/local/bubblewrap/process-limits.ts";

const LIMITS = { processes: 100, memoryMiB: 256, diskMiB: 64, files: 1_000 };
const both = { limitsProcesses: true, limitsMemory: true };

test.each([
  ["root with cgroups for both", both, true, []],
  ["root with a cgroup for processes alone", { ...both, limitsMemory: false }, true, ["Memory"]],
  ["root with a cgroup for memory alone", { ...both, limitsProcesses: false }, true, ["The number of processes"]],
  ["root without a cgroup", null, true, ["The number of processes", "Memory"]],
  ["an ordinary user with cgroups for both", both, false, []],
  ["an ordinary user with a cgroup for memory alone", { ...both, limitsProcesses: false }, false, []],
  ["an ordinary user without a cgroup", null, false, ["Memory"]],
] as const)("%s: every limit is enforced, or named as not enforced", (_, cgroup, isRoot, named) => {
  const notes = unenforcedLimits(LIMITS, cgroup, isRoot);
  expect(notes.length).toBe(named.length);
  for (const [at, note] of notes.entries()) expect(note).toStartWith(named[at] ?? "");
  const args = processLimits(LIMITS, cgroup).map((arg) => arg.split("=")[0]);
  // Each process has its own limit of what no cgroup limits.
  expect(args.includes("--nproc")).toBe(cgroup?.limitsProcesses !== true);
  expect(args.includes("--data")).toBe(cgroup?.limitsMemory !== true);
  // A program may raise it, as sanitizers need it.
  const data = processLimits(LIMITS, cgroup).find((arg) => arg.startsWith("--data="));
  expect(data).toBe(cgroup?.limitsMemory ? undefined : `--data=${256 * 1024 * 1024}:`);
  expect(args.slice(0, 2)).toEqual(["--core", "--fsize"]);
});
