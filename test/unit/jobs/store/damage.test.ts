import { Database } from "bun:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { openSessionStore, sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { unusable } from "../../../../src/jobs/store/unusable.ts";
import { failureOf } from "./store-script.ts";

/* What may be found in the place of a state file: what is damage, and what is not. */

let root: string;
let stateDir: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "damage-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  stateDir = mkdtempSync(join(root, "dir-"));
});

const FILES: Readonly<
  Record<string, { readonly file: () => string; open(): Promise<{ damaged(): readonly string[]; close(): void }> }>
> = {
  "the pool": { file: () => join(stateDir, "pool.db"), open: () => openPoolStore(stateDir) },
  "a session": {
    file: () => sessionFile(stateDir, "ses_1"),
    open: () => openSessionStore(sessionFile(stateDir, "ses_1")),
  },
};

function run(file: string, ...statements: string[]): void {
  using database = new Database(file);
  for (const statement of statements) database.run(statement);
}

function patch(file: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(file);
  change(bytes);
  writeFileSync(file, bytes);
}

const BOTH: [what: string, damage: (file: string) => void][] = [
  [
    "a folder",
    (file) => {
      rmSync(file);
      mkdirSync(file);
      writeFileSync(join(file, "precious"), "");
    },
  ],
  ["a folder in place of the log", (file) => mkdirSync(`${file}-wal`)],
  ["a folder in place of the index", (file) => mkdirSync(`${file}-shm`)],
  ["a few bytes", (file) => writeFileSync(file, "hello")],
  ["an unknown page size", (file) => patch(file, (bytes) => bytes.fill(0xff, 16, 17))],
  ["an overwritten schema", (file) => patch(file, (bytes) => bytes.fill(0x41, 100, 4_096))],
  ["a negative version", (file) => run(file, "PRAGMA user_version = -1")],
  ["our tables without a version", (file) => run(file, "PRAGMA user_version = 0")],
  [
    "garbage, and the lock of a dead process",
    (file) => {
      writeFileSync(file, "garbage");
      writeFileSync(`${file}.lock`, "999999999");
    },
  ],
  [
    "garbage, and an old empty lock",
    (file) => {
      writeFileSync(file, "garbage");
      writeFileSync(`${file}.lock`, "");
      utimesSync(`${file}.lock`, 1, 1);
    },
  ],
  [
    "garbage, and a folder as its lock",
    (file) => {
      writeFileSync(file, "garbage");
      mkdirSync(`${file}.lock`);
    },
  ],
];
const POOL: typeof BOTH = [
  ...["leases", "queue", "sandboxes", "snapshots", "labels", "losses", "cancels", "identity"].map(
    (table): (typeof BOTH)[number] => [`no table ${table}`, (file) => run(file, `DROP TABLE ${table}`)],
  ),
  ["a table without a column", (file) => run(file, "ALTER TABLE leases DROP COLUMN gpu")],
  ["another table of the same name", (file) => run(file, "DROP TABLE sandboxes", "CREATE TABLE sandboxes (x)")],
  ["another side table", (file) => run(file, "DROP TABLE sandbox_owners", "CREATE TABLE sandbox_owners (x)")],
  ["no identity", (file) => run(file, "DELETE FROM identity")],
  ["the version of another state", (file) => run(file, "PRAGMA user_version = 3")],
  ["a lease for an unknown GPU", (file) => run(file, "INSERT INTO leases VALUES ('l','j','s','o',9e15,1,'abacus')")],
  ["a time that is none", (file) => run(file, "INSERT INTO losses VALUES ('yesterday')")],
];

for (const [name, { file, open }] of Object.entries(FILES)) {
  describe(`${name} is set aside and begun anew where there is`, () => {
    for (const [what, damage] of name === "the pool" ? [...BOTH, ...POOL] : BOTH)
      test(what, async () => {
        (await open()).close();
        const entries = () => readdirSync(dirname(file())).filter((one) => one.startsWith(basename(file())));
        damage(file());
        const again = await open();
        const [aside = "", ...more] = again.damaged();
        expect([more, aside.startsWith(`${file()}`), existsSync(aside)]).toEqual([[], true, true]);
        again.close();
        if (what === "a folder") expect(readdirSync(aside)).toEqual(["precious"]);
        const third = await open();
        expect([third.damaged(), entries().includes(`${basename(file())}.lock`)]).toEqual([[], false]);
        third.close();
      });
  });

  test(`${name} of a newer version is no damage, and nothing is moved`, async () => {
    (await open()).close();
    run(file(), "PRAGMA user_version = 99", "CREATE TABLE newer (x)");
    expect(await failureOf(open)).toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("newer version of opencode-parallel-agents; update the plugin"),
    });
    expect(readdirSync(dirname(file())).filter((one) => one.includes("damaged"))).toEqual([]);
  });
}

test("a pool that was emptied or deleted says that it is begun anew, with the same identity", async () => {
  const pool = await openPoolStore(stateDir);
  const identity = pool.identity();
  expect(pool.begunAnew()).toBeNull();
  pool.close();
  for (const lose of [(file: string) => writeFileSync(file, ""), rmSync]) {
    lose(join(stateDir, "pool.db"));
    const again = await openPoolStore(stateDir);
    expect([again.begunAnew(), again.identity(), again.damaged()]).toEqual([join(stateDir, "pool.db"), identity, []]);
    expect(again.unsettledUntil()).toBeGreaterThan(0);
    again.close();
    const third = await openPoolStore(stateDir);
    expect(third.begunAnew()).toBeNull();
    third.close();
  }
});

test("a session's file that was emptied is set aside: its sandboxes are not of a deleted session", async () => {
  const file = sessionFile(stateDir, "ses_1");
  (await openSessionStore(file)).close();
  writeFileSync(file, "");
  const later = { now: () => Date.now() + 60_000 };
  const store = await openSessionStore(file, later);
  expect(store.damaged()).toEqual([expect.stringContaining(".db.damaged-")]);
  store.close();
});

describe("what is no damage is refused with what to do:", () => {
  const sqlite = (code: string, errno: number) => Object.assign(new Error("sqlite says no"), { code, errno });
  const cases: [cause: object, remedy: string, retryable: boolean][] = [
    [sqlite("SQLITE_FULL", 13), "Free some space", true],
    [Object.assign(new Error("no space left"), { code: "ENOSPC" }), "Free some space", true],
    [Object.assign(new Error("x"), { code: "ERR_SQLITE_ERROR", errcode: 13 }), "Free some space", true],
    [sqlite("SQLITE_BUSY", 5), "Another program holds a lock", true],
    [Object.assign(new Error("x"), { code: "ERR_SQLITE_ERROR", errcode: 5 }), "Another program holds a lock", true],
    [sqlite("SQLITE_BUSY", 5), "on a disk of this machine", true],
    [sqlite("SQLITE_PROTOCOL", 15), "on a disk of this machine", false],
    [sqlite("SQLITE_READONLY", 8), "writable", false],
    [sqlite("SQLITE_CANTOPEN", 14), "writable", false],
    [Object.assign(new Error("x"), { code: "EACCES" }), "writable", false],
    [sqlite("SQLITE_IOERR_WRITE", 778), "Check its disk", false],
    [Object.assign(new Error("x"), { code: "EMFILE" }), "open files", true],
    [new Error("something else"), "Move it away", false],
  ];
  for (const [cause, remedy, retryable] of cases)
    test(`${(cause as { code?: string }).code} ${(cause as { errcode?: number }).errcode ?? ""}`, () => {
      const error = unusable("/state/pool.db", cause);
      expect([error.code, error.retryable]).toEqual(["config_invalid", retryable]);
      expect(error.message).toContain(remedy);
      expect(error.message).toContain("/state/pool.db");
    });
});
