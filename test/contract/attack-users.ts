import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import type { LendingRules } from "../../src/sandboxes/local/isolation.ts";

/** In place of a sandbox's number: a command of the host itself. */
export const HOST = -1;

export interface Attack {
  readonly sandboxes: number;
  readonly network: "open" | "blocked";
  /** The number of the sandbox, and what its shell runs. `$TCP` and `$UDP` become ports that the host listens on. */
  readonly steps: readonly (readonly [sandbox: number, command: string])[];
  /** Groups whose messages the host's UDP server takes. */
  readonly groups?: readonly string[];
  readonly lending?: LendingRules;
  /** What is looked after every second stays undone. */
  readonly withoutTicks?: boolean;
}

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly notes: readonly string[];
}

export interface User {
  readonly name: string;
  /** What a command line begins with to be run by this user. */
  readonly become: readonly string[];
  /** Why nothing can be tried as this user; null when it can. */
  readonly why: string | null;
}

const BUN = join(import.meta.dir, "../../node_modules/.bin/bun");
const MAIN = join(import.meta.dir, "attack-main.ts");
const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/nonexistent"];

/** The kernel treats root's sandboxes and an ordinary user's differently: both, where the tests are root's. */
export const USERS: readonly User[] =
  process.geteuid?.() === 0
    ? [
        { name: "root", become: [], why: null },
        { name: "an ordinary user", become: NOBODY, why: whyNot(NOBODY) },
      ]
    : [{ name: "an ordinary user", become: [], why: null }];

function whyNot(become: readonly string[]): string | null {
  const [file, ...args] = [...become, BUN, "-e", `await import(${JSON.stringify(MAIN.replace("main", "users"))})`];
  const { status, stderr } = spawnSync(file as string, args, { encoding: "utf8", cwd: "/" });
  return status === 0 ? null : `it cannot run what lies here: ${stderr?.trim().split("\n").at(-1)}`;
}

/**
 * Makes an attack as a user.
 * @param around words put before the process that makes it, run by that user, as `python3 -c ...`
 * @param before words put before all, run by the tests' own user
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
