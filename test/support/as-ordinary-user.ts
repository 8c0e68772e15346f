import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunTest, TEST_LIMIT_MS } from "../../.ci/bun-test.mjs";

/*
 * Tests that matter for root and for an ordinary user alike. As root their file runs itself a second time, as a user
 * that no password file knows; as an ordinary user it runs once.
 */

const UID = "31337";
const ROOT = join(import.meta.dir, "../..");
const [bun] = bunTest();
const BECOME = ["--reuid", UID, "--regid", UID, "--clear-groups"];

export const isRoot = (): boolean => process.geteuid?.() === 0;

/** Who runs the tests, for their names. */
export const who = isRoot() ? "root" : "an ordinary user";

/** @param file that this is called in. Its tests have `who` in their names, which shows that they ran */
export function runAlsoAsOrdinaryUser(file: string): void {
  // A checkout in a folder that root alone may enter cannot be run by anybody else.
  const canRun = isRoot() && spawnSync("setpriv", [...BECOME, bun, "--version"], { cwd: "/" }).status === 0;
  describe.skipIf(!canRun)("run once more as an ordinary user", () => {
    test(
      "it comes to the same",
      () => {
        const { code, said } = runAsOrdinaryUser(file);
        expect(said).toContain("as an ordinary user");
        expect([code, code === 0 ? "" : said]).toEqual([0, ""]);
      },
      2 * TEST_LIMIT_MS, // all the tests of the file
    );
  });
}

/** @returns the output and the exit code of `bun test` */
function runAsOrdinaryUser(file: string): { readonly code: number | null; readonly said: string } {
  const home = mkdtempSync(join(tmpdir(), "opa-user-"));
  const { PROPERTY_RUNS } = process.env;
  const runs = PROPERTY_RUNS === undefined ? {} : { PROPERTY_RUNS };
  try {
    spawnSync("chown", [`${UID}:${UID}`, home]);
    const { status, stdout, stderr } = spawnSync("setpriv", [...BECOME, ...bunTest(file)], {
      cwd: ROOT,
      encoding: "utf8",
      env: { PATH: process.env.PATH ?? "", HOME: home, TMPDIR: home, ...runs },
    });
    return { code: status, said: `${stdout}${stderr}` };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
