import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalProvider, type LocalProviderDeps } from "../../src/sandboxes/local/local-provider.ts";
import { type IsolationProbe, probeIsolation } from "../../src/sandboxes/local/probe.ts";
import type { SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";

export const newID = (): string => crypto.randomUUID().slice(0, 13);
export const newRoot = (): string => mkdtempSync(join(tmpdir(), "opa-test-"));

export function localProvider(rootDir: string, more: Partial<LocalProviderDeps> = {}): SandboxProvider {
  return createLocalProvider({ rootDir, isolation: "auto", clock: systemClock, log: () => {}, ids: newID, ...more });
}

export const localSpec = (more: Partial<SandboxSpec> = {}): SandboxSpec => ({
  name: newID(), tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "blocked", ...more,
}); // biome-ignore format: a table

/** Why bubblewrap does not work here, for the titles of skipped tests; null when it works. */
export async function whyNoIsolation(): Promise<string | null> {
  const rootDir = newRoot();
  try {
    const probe: IsolationProbe = await probeIsolation({
      rootDir,
      isolation: "bubblewrap",
      clock: systemClock,
      log: () => {},
      ids: newID,
    });
    return probe.works === null ? probe.refused.map(({ why }) => why).join("; ") || "unknown" : null;
  } finally {
    rmSync(rootDir, { recursive: true, force: true });
  }
}

/** Processes, cgroups and directories left by this process's sandboxes; empty when nothing leaked. */
export async function leftOf(rootDir: string): Promise<string[]> {
  let found: string[] = [];
  for (let attempt = 0; attempt < 100; attempt += 1) {
    found = [...childrenOf(process.pid), ...cgroups()];
    for (const part of ["sandboxes", "snapshots"])
      if (existsSync(join(rootDir, part)))
        found.push(...readdirSync(join(rootDir, part)).map((name) => `${part}/${name}`));
    if (found.length === 0) return [];
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return found;
}

export function childrenOf(parent: number): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return new RegExp(`^PPid:\\t${parent}$`, "m").test(status) &&
          /bwrap|slirp4netns|pasta|nsenter|guard/.test(command)
          ? [`${pid} ${command}`]
          : [];
      } catch {
        return []; // ended meanwhile
      }
    });
}

export function cgroups(maker: number = process.pid): string[] {
  if (!existsSync("/sys/fs/cgroup")) return [];
  return spawnSync("find", ["/sys/fs/cgroup", "-name", `opa-${maker}-*`], { encoding: "utf8" })
    .stdout.split("\n")
    .filter(Boolean);
}

export interface HostProcess {
  readonly pid: number;
  readonly startedAt: string | null;
  readonly command: string;
}

/** All descendants of a process, in whatever namespaces, to check later whether they have ended. */
export function descendants(root: number): HostProcess[] {
  const below: HostProcess[] = [];
  const parents = new Set([root]);
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
  for (let found = true; found; ) {
    found = false;
    for (const pid of all) {
      if (parents.has(pid)) continue;
      try {
        const parent = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
        if (!parents.has(parent)) continue;
        below.push({
          pid,
          startedAt: startTimeOf(pid),
          command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "),
        });
        parents.add(pid);
        found = true;
      } catch {
        // ended meanwhile
      }
    }
  }
  return below;
}

/** Start time of a process, which distinguishes it from a later one with the same pid; null when it has ended. */
export function startTimeOf(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** Opens as many files as this process may. */
export function openAll(): number[] {
  const files: number[] = [];
  try {
    for (;;) files.push(openSync("/dev/null", "r"));
  } catch {
    return files;
  }
}
