import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import type { LendingRules } from "../../src/sandboxes/local/isolation.ts";

/** In place of a sandbox's index: runs the command on the host itself. */
export const HOST = -1;

export interface Attack {
  readonly sandboxes: number;
  readonly network: "open" | "blocked";
  /** Index of a sandbox, and the shell command it runs. `$TCP` and `$UDP` become the ports that the host listens on. */
  readonly steps: readonly (readonly [sandbox: number, command: string])[];
  /** Multicast groups that the host's UDP server joins. */
  readonly groups?: readonly string[];
  readonly lending?: LendingRules;
  /** Disables the maintenance that runs once a second. */
  readonly withoutTicks?: boolean;
}

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly notes: readonly string[];
}

export interface User {
  readonly name: string;
  /** Words in front of a command line that make this user run it. */
  readonly become: readonly string[];
  /** Why no test can run as this user; null when it can. */
  readonly why: string | null;
}

const BUN = join(import.meta.dir, "../../node_modules/.bin/bun");
const MAIN = join(import.meta.dir, "attack-main.ts");
const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/nonexistent"];

/** The kernel treats sandboxes of root and of ordinary users differently, so tests that run as root try both. */
export const USERS: readonly User[] =
  process.geteuid?.() === 0
    ? [
        { name: "root", become: [], why: null },
        { name: "an ordinary user", become: NOBODY, why: whyNot(NOBODY) },
      ]
    : [{ name: "an ordinary user", become: [], why: null }];

function whyNot(become: readonly string[]): string | null {
  const [file, ...args] = [...become, BUN, "-e", `await import(${JSON.stringify(import.meta.path)})`];
  const { status, stderr } = spawnSync(file as string, args, { encoding: "utf8", cwd: "/" });
  return status === 0 ? null : `it cannot run what lies here: ${stderr?.trim().split("\n").at(-1)}`;
}

/**
 * Runs an attack as a user.
 * @param around words in front of the attacking process, run by that user, such as `python3 -c ...`
 * @param before words in front of everything, run by the tests' own user
 */
export function attackAs(
  user: User,
  attack: Attack,
  { around = [], before = [] }: { readonly around?: readonly string[]; readonly before?: readonly string[] } = {},
): Promise<{ readonly said: readonly Said[]; readonly received: readonly string[] }> {
  const [file, ...args] = [...before, ...user.become, ...around, BUN, MAIN, JSON.stringify(attack)];
  const child = spawn(file as string, args, { cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (bytes) => (stdout += String(bytes)));
  child.stderr.on("data", (bytes) => (stderr += String(bytes)));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(JSON.parse(stdout)) : reject(new Error(`the attack ended with ${code}: ${stderr}${stdout}`)),
    );
  });
}
