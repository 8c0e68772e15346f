import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPoolStore } from "../../src/jobs/store/pool-store.ts";
import { createLocalProvider } from "../../src/sandboxes/local/local-provider.ts";
import type { SandboxSpec } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { PACKAGE } from "../support/lab.ts";
import { sandboxTest } from "../support/sandboxes.ts";

/** The command as npm installs it, in a home without anything. */
function run(home: string, ...args: string[]) {
  const env = { PATH: `${PACKAGE}/node_modules/.bin:${process.env.PATH}`, HOME: home }; // a Node with SQLite
  const { status, stdout, stderr } = spawnSync(join(PACKAGE, "dist/cli/main.js"), args, { cwd: home, env });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

const withHome = (body: (home: string) => Promise<void>) => async () => {
  const home = mkdtempSync(join(tmpdir(), "gc-"));
  try {
    await body(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
};

sandboxTest(
  "gc ends a sandbox whose session is gone, says so, and then finds nothing",
  withHome(async (home) => {
    const stateDir = join(home, "state");
    const pool = await openPoolStore(stateDir);
    const tags = { job: "job_gone", session: "ses_gone", lab: pool.identity() };
    pool.close();
    const rootDir = join(stateDir, "local");
    const log = () => {};
    const provider = createLocalProvider({ rootDir, isolation: "auto", clock: systemClock, log, ids: () => "1" });
    const spec: SandboxSpec = { name: "job_gone", tags, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "blocked" }; // biome-ignore format: one line
    const { id } = await provider.create(spec);
    await provider.close();
    expect(existsSync(join(rootDir, "sandboxes", id))).toBe(true);

    const first = run(home, "gc", "--state-dir", stateDir, "--json");
    expect([first.status, JSON.parse(first.stdout)]).toEqual([
      0,
      { ended: [id], parked: [], snapshotsRemoved: [], failures: [] },
    ]);
    expect(existsSync(join(rootDir, "sandboxes", id))).toBe(false);
    expect(run(home, "gc", "--state-dir", stateDir)).toMatchObject({ status: 0, stdout: "Nothing to sweep.\n" });
  }),
);

sandboxTest(
  "gc removes what a process that died had half made, or had frozen and not recorded",
  withHome(async (home) => {
    const stateDir = join(home, "state");
    const rootDir = join(stateDir, "local");
    const pool = await openPoolStore(stateDir);
    const ids = (() => {
      let count = 0;
      return () => `${++count}`;
    })();
    const provider = createLocalProvider({ rootDir, isolation: "auto", clock: systemClock, log: () => {}, ids });
    const spec: SandboxSpec = { name: "job_1", tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "blocked" }; // biome-ignore format: one line
    const sandbox = await provider.create(spec);
    const take = async (pid: number) => {
      const { id } = (await provider.snapshots?.take(sandbox, null)) ?? { id: "" };
      const file = join(rootDir, "snapshots", id, "meta.json");
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), pid }));
      return id;
    };
    const dead = spawnSync("true").pid;
    const [lost, recorded, fresh] = [await take(dead), await take(dead), await take(process.pid)];
    pool.savePreparedTree({ key: "k", place: "p", commit: "c", form: "files", snapshotID: recorded, createdAt: 1 });
    pool.close();
    await provider.close();
    for (const [folder, name] of [
      ["snapshots", `.snap_half.${dead}.half`],
      ["snapshots", `.snap_fresh.${process.pid}.half`],
      ["sandboxes", `.sbx_half.${dead}.half`],
    ] as const)
      mkdirSync(join(rootDir, folder, name, "workspace/files"), { recursive: true });

    const { status, stdout } = run(home, "gc", "--state-dir", stateDir, "--json");
    expect([status, JSON.parse(stdout)]).toEqual([
      0,
      { ended: [], parked: [], snapshotsRemoved: [lost], failures: [] },
    ]);
    expect(readdirSync(join(rootDir, "snapshots")).sort()).toEqual(
      [`.snap_fresh.${process.pid}.half`, recorded, fresh].sort(),
    );
    expect(readdirSync(join(rootDir, "sandboxes"))).toEqual([sandbox.id]);
  }),
);

test(
  "the command explains itself, and refuses what it does not know",
  withHome(async (home) => {
    expect(run(home, "--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("gc    end sandboxes") });
    expect(run(home, "sweep")).toMatchObject({ status: 2, stderr: expect.stringContaining('unknown command "sweep"') });
    expect(run(home, "gc", "--nope").status).toBe(2);
    const bad = run(home, "gc", "--state-dir", "relative", "--json");
    expect([bad.status, JSON.parse(bad.stdout).error.code]).toEqual([1, "config_invalid"]);
  }),
);
