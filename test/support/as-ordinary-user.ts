import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/*
 * Tests that matter for root and for an ordinary user alike. As root their file runs itself a second time, as a user
 * that no password file knows; as an ordinary user it runs once.
 */

const UID = 31_337;

export const isRoot = (): boolean => process.geteuid?.() === 0;

/** @returns what the run said; its exit code is that of `bun test` */
export function runAsOrdinaryUser(file: string): { readonly code: number | null; readonly said: string } {
  const home = mkdtempSync(join(tmpdir(), "opa-user-"));
  const root = join(import.meta.dir, "../..");
  const bun = join(root, "node_modules/.bin/bun");
  const argv = ["setpriv", "--reuid", String(UID), "--regid", String(UID), "--clear-groups", bun, "test"];
  const rest = ["--preload", join(root, "test/support/preload.ts"), "--timeout", "240000", file];
  try {
    spawnSync("chown", [`${UID}:${UID}`, home]);
    const { status, stdout, stderr } = spawnSync(argv[0] as string, [...argv.slice(1), ...rest], {
      cwd: root,
      encoding: "utf8",
      env: { PATH: process.env.PATH ?? "", HOME: home, TMPDIR: home },
    });
    return { code: status, said: `${stdout}${stderr}` };
  } finally {
    spawnSync("rm", ["-rf", home]);
  }
}
