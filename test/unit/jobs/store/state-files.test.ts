import { Database } from "bun:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { openSessionStore, sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { lastSetAside, setAside } from "../../../../src/jobs/store/set-aside.ts";
import { failureOf } from "./store-script.ts";

let root: string;
let stateDir: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "state-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  stateDir = mkdtempSync(join(root, "dir-"));
});

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const session = () => sessionFile(stateDir, "ses_1");
async function openAll() {
  const pool = await openPoolStore(stateDir);
  const store = await openSessionStore(session());
  return { pool, store, close: () => [pool, store].map((one) => one.close()) };
}

/** Every file of the state directory with its mode. */
function modes(): Record<string, string> {
  const all = readdirSync(stateDir, { recursive: true, encoding: "utf8" });
  return Object.fromEntries([".", ...all].map((name) => [name, modeOf(join(stateDir, name))]));
}

describe("the state is readable by its user only", () => {
  const EXPECTED = Object.fromEntries([
    ...[".", "sessions"].map((name) => [name, "700"]),
    ...["pool.db", "sessions/ses_1.db"].flatMap((name) => ["", "-wal", "-shm"].map((more) => [name + more, "600"])),
    ["identity", "600"],
  ]);

  test("whatever the user's umask", async () => {
    const umask = process.umask(0);
    try {
      rmSync(stateDir, { recursive: true });
      const { close } = await openAll();
      expect(modes()).toEqual(EXPECTED);
      close();
    } finally {
      process.umask(umask);
    }
  });

  test("even if it was readable by everyone before", async () => {
    (await openAll()).close();
    const { close } = await openAll(); // so that SQLite's files beside the databases exist too
    for (const name of Object.keys(modes())) chmodSync(join(stateDir, name), name.includes(".db") ? 0o644 : 0o755);
    const again = await openAll();
    expect(modes()).toEqual(EXPECTED);
    again.close();
    close();
  });

  test("even in a state directory that is a link of the user's", async () => {
    const disk = mkdtempSync(join(root, "disk-"));
    chmodSync(disk, 0o755);
    rmSync(stateDir, { recursive: true });
    symlinkSync(disk, stateDir);
    (await openAll()).close();
    expect([modeOf(disk), modeOf(join(disk, "pool.db"))]).toEqual(["700", "600"]);
  });

  test.skipIf(process.getuid?.() !== 0).each(["", "pool.db", "sessions", "sessions/ses_1.db"])(
    "and is refused where %p belongs to another user",
    async (name) => {
      (await openAll()).close();
      chownSync(join(stateDir, name), 65_534, 65_534);
      expect(await failureOf(openAll)).toMatchObject({
        code: "config_invalid",
        message: expect.stringContaining("belongs to another user (65534, you are 0)"),
      });
    },
  );
});

test.skipIf(process.getuid?.() === 0)(
  "refuses another user's state directory before creating anything in it",
  async () => {
    expect(await failureOf(() => openPoolStore("/usr/share"))).toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("/usr/share for the state: it belongs to another user (0"),
    });
  },
);

describe("does not follow links in the state:", () => {
  test.each(["pool.db", "pool.db-wal", "pool.db-shm", "sessions/ses_1.db"])("%s", async (name) => {
    const outside = join(root, `outside-${name.replace("/", "-")}`);
    writeFileSync(outside, "");
    mkdirSync(join(stateDir, "sessions"));
    symlinkSync(outside, join(stateDir, name));
    const failure = await failureOf(openAll);
    expect(failure).toMatchObject({ code: "config_invalid" });
    expect(String(failure.message)).toContain(`${join(stateDir, name)} for the state: it is a link`);
    expect([readFileSync(outside, "utf8"), existsSync(`${outside}-wal`)]).toEqual(["", false]);
  });

  test("the folder of sessions", async () => {
    const outside = mkdtempSync(join(root, "outside-"));
    symlinkSync(outside, join(stateDir, "sessions"));
    expect(await failureOf(openAll)).toMatchObject({ code: "config_invalid" });
    expect(readdirSync(outside)).toEqual([]);
  });

  test("a dangling link creates nothing at its target", async () => {
    symlinkSync(join(root, "nowhere"), join(stateDir, "pool.db"));
    expect(await failureOf(openAll)).toMatchObject({ code: "config_invalid" });
    expect(existsSync(join(root, "nowhere"))).toBe(false);
  });

  test("a link in place of the identity file is replaced, not written through", async () => {
    writeFileSync(join(root, "mine"), "precious");
    symlinkSync(join(root, "mine"), join(stateDir, "identity"));
    const { pool, close } = await openAll();
    expect(readFileSync(join(root, "mine"), "utf8")).toBe("precious");
    expect(readFileSync(join(stateDir, "identity"), "utf8")).toBe(pool.identity());
    close();
  });
});

describe("a damaged file is set aside under a name that says so, and an empty one takes its place:", () => {
  const aside = (name: string) =>
    readdirSync(join(stateDir, name, name === "." ? "." : "..")).filter((one) => one.includes(".damaged-"));
  const kinds: [string, (path: string) => void][] = [
    ["no database at all", (path) => writeFileSync(path, "x".repeat(5_000))],
    ["cut off in the middle", (path) => truncateSync(path, 6_000)],
    [
      "overwritten in the middle",
      (path) => {
        const bytes = readFileSync(path);
        bytes.fill(0xaa, 4_096, 12_288);
        writeFileSync(path, bytes);
      },
    ],
    [
      "another program's",
      (path) => {
        rmSync(path);
        using other = new Database(path);
        other.run("CREATE TABLE cookies (name TEXT)");
      },
    ],
  ];
  for (const [what, damage] of kinds) {
    test(`pool.db, ${what}`, async () => {
      const { pool, close } = await openAll();
      const identity = pool.identity();
      pool.insertSandbox("sbx_1", "local", "job_1", "ses_1", 1);
      close();
      damage(join(stateDir, "pool.db"));
      const bytes = readFileSync(join(stateDir, "pool.db"));
      const again = await openPoolStore(stateDir);
      expect([again.sandboxes(), again.identity()]).toEqual([[], identity]);
      expect(again.damaged()).toEqual([join(stateDir, aside("pool.db")[0] as string)]);
      expect(readFileSync(again.damaged()[0] as string)).toEqual(bytes);
      expect(modes()).toMatchObject({ "pool.db": "600" });
      again.close();
      const third = await openPoolStore(stateDir);
      expect([third.damaged(), third.identity(), aside("pool.db").length]).toEqual([[], identity, 1]);
      third.close();
    });

    test(`a session's, ${what}`, async () => {
      (await openAll()).close();
      damage(session());
      const { store, close } = await openAll();
      expect([store.jobs(), store.damaged().length]).toEqual([[], 1]);
      expect(lastSetAside(session())).toBeGreaterThan(0);
      close();
    });
  }

  test("a process that died while setting a file aside does not block others", async () => {
    const dead = 2 ** 30; // larger than any process ID
    writeFileSync(join(stateDir, "pool.db"), "no database at all");
    writeFileSync(join(stateDir, "pool.db.lock"), String(dead));
    const pool = await openPoolStore(stateDir);
    expect([pool.damaged().length, existsSync(join(stateDir, "pool.db.lock"))]).toEqual([1, false]);
    pool.close();
  });

  test("does not set aside the new file that another process has created meanwhile", async () => {
    const file = join(stateDir, "pool.db");
    writeFileSync(file, "damaged");
    const inode = statSync(file).ino;
    writeFileSync(join(stateDir, "new"), "new");
    rmSync(file);
    writeFileSync(file, "new");
    if (statSync(file).ino !== inode) expect(setAside(file, inode, 0)).toBeNull();
    expect(setAside(file, statSync(file).ino, 0)).toBe(`${file}.damaged-1970-01-01T00-00-00.000Z`);
    expect(setAside(file, inode, 0)).toBeNull();
  });

  test("a new state has no lost records; a state whose database was removed has", async () => {
    const clock = { now: () => 1_000_000 };
    const first = await openPoolStore(stateDir, clock);
    expect([first.unsettledUntil(), first.isLeaseAlive("lease_1", 1_000_000)]).toEqual([0, false]);
    first.close();
    for (const name of readdirSync(stateDir)) if (name.startsWith("pool.db")) rmSync(join(stateDir, name));
    const second = await openPoolStore(stateDir, clock);
    expect(second.unsettledUntil()).toBe(1_015_000);
    expect([second.isLeaseAlive("lease_1", 1_014_999), second.isLeaseAlive("lease_1", 1_015_000)]).toEqual([
      true,
      false,
    ]);
    second.close();
  });
});
