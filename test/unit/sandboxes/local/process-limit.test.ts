import { expect, test } from "bun:test";
import { machineLimits, machineProcessLimit, processLimit } from "../../../../src/sandboxes/local/process-limit.ts";

test.each([
  ["usually", 8, 4_194_304, 4_096],
  ["with many processors", 192, 4_194_304, 24_576],
  ["with process numbers of 15 bits", 8, 32_768, 2_048],
  ["in a container with a limit of its own", 64, 2_048, 512],
  ["where nothing limits processes", 8, Number.POSITIVE_INFINITY, 4_096],
])("a sandbox's processes on a machine %s", (_, processors, machine, limit) => {
  expect(processLimit(processors, machine)).toBe(limit);
});

const FILES: Readonly<Record<string, string>> = {
  "/proc/sys/kernel/pid_max": "4194304\n",
  "/proc/sys/kernel/threads-max": "126000\n",
  "/proc/self/cgroup": "3:cpu:/x\n2:pids:/docker/abc\n0::/user.slice/user-1000.slice/session.scope\n",
  "/sys/fs/cgroup/user.slice/user-1000.slice/pids.max": "41000\n",
  "/sys/fs/cgroup/user.slice/pids.max": "max\n",
  "/sys/fs/cgroup/pids/docker/abc/pids.max": "2048\n",
  "/sys/fs/cgroup/cpu/x/pids.max": "1\n",
};

test("the kernel's limits count, and those of the cgroups around", () => {
  expect(machineLimits((path) => FILES[path] ?? "").sort((a, b) => a - b)).toEqual([2_048, 41_000, 126_000, 4_194_304]);
  expect(machineLimits(() => "")).toEqual([]);
  expect(machineProcessLimit()).toBeGreaterThanOrEqual(512);
});
