import { expect, test } from "bun:test";
import {
  processLimits,
  RESOURCE,
  unenforcedLimits,
} from "../../../../src/sandboxes/local/bubblewrap/process-limits.ts";

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
  const limited = new Map(processLimits(LIMITS, cgroup).map(({ resource, ...values }) => [resource, values]));
  // Each process has its own limit of what no cgroup limits.
  expect(limited.has(RESOURCE.processes)).toBe(cgroup?.limitsProcesses !== true);
  // A program may raise it, as sanitizers need it.
  const data = limited.get(RESOURCE.data);
  expect(data?.soft).toBe(cgroup?.limitsMemory ? undefined : BigInt(256 * 1024 * 1024));
  if (data) expect(data.hard).toBeGreaterThan(data.soft);
  expect(limited.get(RESOURCE.core)).toEqual({ soft: 0n, hard: 0n });
  expect(limited.get(RESOURCE.fileSize)).toEqual({ soft: BigInt(64 * 1024 * 1024), hard: BigInt(64 * 1024 * 1024) });
});
