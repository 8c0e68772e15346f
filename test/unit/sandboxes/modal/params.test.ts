import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  DEFAULT_MACHINE,
  toCreateParams,
  toNetworkParams,
  WORKDIR_VARIABLE,
} from "../../../../src/sandboxes/modal/create-params.ts";
import { toLifetimeMs, toTtlMs, wholeSecondsMs } from "../../../../src/sandboxes/modal/durations.ts";
import { toExitStatus } from "../../../../src/sandboxes/modal/exit-status.ts";
import { formatSnapshotID, isOwnDirectory, parseSnapshotID } from "../../../../src/sandboxes/modal/snapshot-id.ts";
import type { SandboxSpec } from "../../../../src/sandboxes/port.ts";

const spec: SandboxSpec = {
  name: "job_1",
  tags: { job: "job_1" },
  snapshotID: null,
  workdir: "/workspace",
  env: { A: "1" },
  memoryMiB: null,
  network: "open",
};
const nothing = { secrets: [], volumes: {}, buckets: {}, proxy: null };

describe("durations for the SDK", () => {
  test("are positive multiples of a second, never shorter than requested", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (ms) => {
        const whole = wholeSecondsMs(ms);
        return whole >= 1000 && whole % 1000 === 0 && whole >= ms && whole < ms + 1001;
      }),
    );
    expect([0, 1, 1000, 1001].map(wholeSecondsMs)).toEqual([1000, 1000, 1000, 2000]);
  });

  test("limit a sandbox to a day, and leave a snapshot's time to live unlimited", () => {
    expect(toLifetimeMs(10 * 86_400_000)).toBe(86_400_000);
    expect([toTtlMs(null), toTtlMs(30), toTtlMs(0.00001)]).toEqual([null, 30 * 86_400_000, 1000]);
  });
});

describe("the parameters of a creation", () => {
  test("always have a name, tags, a command, both time limits, CPU and memory", () => {
    expect(toCreateParams(spec, nothing)).toEqual({
      name: "job_1", tags: { job: "job_1" }, command: ["sleep", "infinity"], workdir: "/", timeoutMs: 18_000_000, idleTimeoutMs: 1_200_000, cpu: 1, cpuLimit: 2, memoryMiB: 2048, memoryLimitMiB: 4096,
      env: { [WORKDIR_VARIABLE]: "/workspace" },
    }); // biome-ignore format: a table
  });

  test("contain what the spec asks for", () => {
    const machine = {
      ...DEFAULT_MACHINE,
      gpu: { type: "H100", count: 8, exact: true },
      cpu: 4,
      ports: [8080],
      regions: ["eu"],
      lifetimeMs: 60_500,
      idleTimeoutMs: 1,
    };
    expect(toCreateParams({ ...spec, memoryMiB: 512, machine }, nothing)).toMatchObject({
      cpu: 4, cpuLimit: 8, memoryMiB: 512, memoryLimitMiB: 4096, encryptedPorts: [8080], regions: ["eu"], timeoutMs: 61_000, idleTimeoutMs: 1000, gpu: "H100!:8",
    }); // biome-ignore format: a table
  });

  test("have an open network, a blocked one, or two allowlists", () => {
    expect(toNetworkParams("open")).toEqual({});
    expect(toNetworkParams("blocked")).toEqual({ blockNetwork: true });
    expect(toNetworkParams({ domains: [], cidrs: [] })).toEqual({ blockNetwork: true });
    expect(toNetworkParams({ domains: ["pypi.org"], cidrs: [] })).toEqual({
      outboundDomainAllowlist: ["pypi.org"],
      outboundCidrAllowlist: [],
    });
  });
});

describe("snapshot ids", () => {
  test("contain the path of a directory", () => {
    for (const id of [
      { imageID: "im-1", path: null },
      { imageID: "im-1", path: "/workspace/a:b" },
    ])
      expect(parseSnapshotID(formatSnapshotID(id))).toEqual(id);
    for (const other of ["snap_1", "", "im-", "im-1:relative", "x im-1"]) expect(parseSnapshotID(other)).toBeNull();
  });

  test("directories of the image cannot be restored", () => {
    expect(["/", "/usr/lib", "/etc", "/proc/1", "relative"].map(isOwnDirectory)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(["/workspace", "/root/x", "/data", "/usrx"].map(isOwnDirectory)).toEqual([true, true, true, true]);
  });
});

test("an exit code means a signal only if we sent that signal", () => {
  expect(toExitStatus(143, new Set(["SIGTERM"]))).toEqual({ kind: "signalled", signal: "SIGTERM" });
  expect(toExitStatus(143, new Set(["SIGINT"]))).toEqual({ kind: "exited", code: 143 });
  expect(toExitStatus(0, new Set(["SIGKILL"]))).toEqual({ kind: "exited", code: 0 });
});
