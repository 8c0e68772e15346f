import { describe, expect, test } from "bun:test";
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPoolStore } from "../../src/jobs/store/pool-store.ts";
import { createLocalProvider } from "../../src/sandboxes/local/local-provider.ts";
import type { SandboxSpec } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { PACKAGE } from "../support/test-setup.ts";

/** The command as npm installs it, in a home without anything. */
function run(home: string, ...args: string[]) {
  return runIn(home, home, ...args);
}

function runIn(cwd: string, home: string, ...args: string[]) {
  const env = { PATH: `${PACKAGE}/node_modules/.bin:${process.env.PATH}`, HOME: home }; // a Node with SQLite
  const { status, stdout, stderr } = spawnSync(join(PACKAGE, "dist/cli/main.js"), args, { cwd, env });
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
  "gc ends a sandbox whose session is gone, reports it, and then finds nothing",
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
    expect(run(home, "gc", "--state-dir", stateDir)).toMatchObject({ status: 0, stdout: "Nothing to clean up.\n" });
  }),
);

test(
  "gc refuses a state directory that does not exist, and makes none",
  withHome(async (home) => {
    const nowhere = join(home, "stat");
    const { status, stdout, stderr } = run(home, "gc", "--state-dir", nowhere);
    const said = `config_invalid: There is no state directory ${nowhere}; name another.\n`;
    expect([status, stdout, stderr, existsSync(nowhere)]).toEqual([1, "", said, false]);
  }),
);

sandboxTest(
  "gc removes what a dead process had partly created, or had frozen and not recorded",
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
    pool.savePreparedTree({
      key: "k",
      place: "p",
      commit: "c",
      form: "files",
      snapshotID: recorded,
      createdAt: 1,
      expiresAt: null,
    });
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

/** What a state directory in a repository may have been given: a folder of the user's in place of what gc clears away. */
const TRAPS: Record<string, (stateDir: string, outside: string) => void> = {
  "a link named like what a dead process half made": (stateDir, outside) => {
    for (const kind of ["sandboxes", "snapshots"]) {
      mkdirSync(join(stateDir, "local", kind), { recursive: true });
      for (const name of [".sbx_gone.999999999.half", "sbx_gone", "snap_gone"])
        symlinkSync(outside, join(stateDir, "local", kind, name));
    }
  },
  "the folder of sandboxes": (stateDir, outside) => {
    mkdirSync(join(stateDir, "local"), { recursive: true });
    symlinkSync(outside, join(stateDir, "local/sandboxes"));
  },
  "the folder of snapshots": (stateDir, outside) => {
    mkdirSync(join(stateDir, "local/sandboxes"), { recursive: true });
    symlinkSync(outside, join(stateDir, "local/snapshots"));
  },
  "the folder of all that is local": (stateDir, outside) => {
    mkdirSync(join(outside, "sandboxes"));
    symlinkSync(join(outside, "precious.half"), join(outside, "sandboxes/.sbx_gone.999999999.half"));
    mkdirSync(stateDir, { recursive: true });
    symlinkSync(outside, join(stateDir, "local"));
  },
  "the record of a sandbox, and its parts": (stateDir, outside) => {
    const half = join(stateDir, "local/sandboxes/.sbx_gone.999999999.half");
    mkdirSync(half, { recursive: true });
    for (const part of ["workspace", "home", "meta.json"]) symlinkSync(outside, join(half, part));
  },
};

describe("gc follows no link out of the state folder when it removes", () => {
  for (const [what, lay] of Object.entries(TRAPS)) {
    sandboxTest(
      what,
      withHome(async (home) => {
        const outside = join(home, "outside");
        mkdirSync(join(outside, "precious.half/workspace"), { recursive: true });
        mkdirSync(join(outside, "sbx_precious"));
        writeFileSync(join(outside, "precious.half/workspace/file"), "precious");
        const stateDir = join(home, "clone/state");
        lay(stateDir, outside);
        const before = listing(outside);
        // As a repository would have it, and as a user would who was talked into it.
        const project = join(home, "clone/.opencode");
        mkdirSync(project);
        const options = { stateDir, provider: "local", local: { isolation: "none" } };
        writeFileSync(join(project, "parallel-agents.jsonc"), JSON.stringify(options));
        const inClone = runIn(join(home, "clone"), home, "gc", "--json");
        expect([inClone.status, JSON.parse(inClone.stdout).failures]).toEqual([0, []]);
        expect(existsSync(join(stateDir, "pool.db"))).toBe(false);
        run(home, "gc", "--state-dir", stateDir);
        expect(listing(outside)).toEqual(before);
      }),
    );
  }
});

sandboxTest(
  "gc sets a damaged database aside, reports it, and keeps sandboxes whose jobs it cannot read",
  withHome(async (home) => {
    const stateDir = join(home, "state");
    (await openPoolStore(stateDir)).close();
    writeFileSync(join(stateDir, "pool.db"), "no database at all");
    const { status, stdout } = run(home, "gc", "--state-dir", stateDir);
    const [aside = ""] = readdirSync(stateDir).filter((name) => name.startsWith("pool.db.damaged-"));
    expect(readFileSync(join(stateDir, aside), "utf8")).toBe("no database at all");
    expect([status, stdout]).toEqual([1, expect.stringContaining(`is set aside as ${join(stateDir, aside)}`)]);
    expect(run(home, "gc", "--state-dir", stateDir)).toMatchObject({ status: 0, stdout: "Nothing to clean up.\n" });
  }),
);

sandboxTest(
  "gc continues after the damaged record of one sandbox",
  withHome(async (home) => {
    const stateDir = join(home, "state");
    const rootDir = join(stateDir, "local");
    const pool = await openPoolStore(stateDir);
    let count = 0;
    const ids = () => `${++count}`;
    const provider = createLocalProvider({ rootDir, isolation: "auto", clock: systemClock, log: () => {}, ids });
    const made = await Promise.all(
      ["job_1", "job_2", "job_3"].map((job) => {
        const tags = { job, session: "ses_gone", lab: pool.identity() };
        const spec: SandboxSpec = { name: job, tags, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "blocked" }; // biome-ignore format: one line
        return provider.create(spec);
      }),
    );
    await provider.close();
    const [recorded, unknown, whole] = made.map(({ id }) => id) as [string, string, string];
    pool.insertSandbox(recorded, "local", "job_1", "ses_gone", 1);
    pool.close();
    writeFileSync(join(rootDir, "sandboxes", recorded, "meta.json"), "{");
    rmSync(join(rootDir, "sandboxes", unknown, "meta.json"));
    execFileSync("sh", ["-c", 'mkfifo "$0"', join(rootDir, "sandboxes", unknown, "meta.json")]);
    const { status, stdout } = run(home, "gc", "--state-dir", stateDir, "--json");
    expect([status, JSON.parse(stdout).ended.sort()]).toEqual([0, [recorded, whole].sort()]);
    expect(readdirSync(join(rootDir, "sandboxes"))).toEqual([unknown]);
  }),
);

/** Every path with its content. */
const listing = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, lstatSync(path).isFile() ? readFileSync(path, "utf8") : "", lstatSync(path).mode])
    .sort();

test(
  "prints its usage, and refuses unknown commands and options",
  withHome(async (home) => {
    expect(run(home, "--help")).toMatchObject({ status: 0, stdout: expect.stringMatching(/gc +end sandboxes/) });
    expect(run(home, "sweep")).toMatchObject({ status: 2, stderr: expect.stringContaining('Unknown command "sweep"') });
    expect(run(home, "gc", "--nope").status).toBe(2);
    const bad = run(home, "gc", "--state-dir", ".", "--json");
    expect([bad.status, JSON.parse(bad.stdout).error.code]).toEqual([1, "config_invalid"]);
    expect(JSON.parse(bad.stdout).error.message).toContain("stateDir in --state-dir: found your home");
    mkdirSync(join(home, "relative"));
    expect(run(home, "gc", "--state-dir", "relative")).toMatchObject({ status: 0, stdout: "Nothing to clean up.\n" });
  }),
);
