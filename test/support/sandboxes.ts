import { test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OpencodeHome } from "./opencode-home.ts";

/*
 * Local sandboxes seen from outside: their directories, their processes, and gates by which a test decides how long a
 * command takes, so that no test guesses at durations.
 */

/** null where it is missing, or may not make namespaces. */
export const bubblewrap: string | null = worksHere(Bun.which("bwrap"));

/** For tests whose jobs need a real sandbox. Skipped, with this line, where none can be had. */
export const sandboxTest = bubblewrap ? test : test.skip;
if (!bubblewrap)
  process.stderr.write(
    "bubblewrap is not installed or may not make namespaces: tests that need sandboxes are skipped\n",
  );

/** A command under which programs see a machine without bubblewrap; see `startServe`. */
export const withoutBubblewrap: readonly string[] = bubblewrap
  ? [bubblewrap, "--dev-bind", "/", "/", "--ro-bind", "/dev/null", realpathSync(bubblewrap), "--die-with-parent", "--"]
  : [];

function worksHere(path: string | null): string | null {
  const probe = ["--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "true"];
  return path !== null && spawnSync(path, probe).status === 0 ? path : null;
}

const root = (home: OpencodeHome): string => join(home.stateDir, "local/sandboxes");

/** Ids of the sandboxes on disk, half-made ones included. */
export const sandboxesOf = (home: OpencodeHome): string[] => (existsSync(root(home)) ? readdirSync(root(home)) : []);

const inWorkspace = (home: OpencodeHome, sandboxID: string, file: string): string =>
  join(root(home), sandboxID, "workspace", file);

/** A command that says when it came, waits for its gate, and says when it left. */
export const HOLD =
  "date +%s%N > entered; until [ -e go ]; do sleep 0.1; done; date +%s%N > left; echo held $(cat entered left)";

/** Sandboxes whose command waits at its gate now. */
export const holders = (home: OpencodeHome): string[] =>
  sandboxesOf(home).filter(
    (id) => existsSync(inWorkspace(home, id, "entered")) && !existsSync(inWorkspace(home, id, "left")),
  );

export function openGates(home: OpencodeHome, sandboxIDs: readonly string[] = holders(home)): void {
  for (const id of sandboxIDs) writeFileSync(inWorkspace(home, id, "go"), "");
}

/** When a held command came and left, in nanoseconds, from its own output. */
export function heldFrom(output: string): [entered: bigint, left: bigint] {
  const [, entered, left] = /held (\d+) (\d+)/.exec(output) ?? [];
  if (!entered || !left) throw new Error(`no held command: ${output}`);
  return [BigInt(entered), BigInt(left)];
}

/** How many of the intervals overlap at most. */
export const mostAtOnce = (intervals: readonly (readonly [bigint, bigint])[]): number =>
  Math.max(...intervals.map(([at]) => intervals.filter(([from, to]) => from <= at && at < to).length));

/** A number of seconds no other process sleeps for: it names a command in the host's process list. */
export const uniqueSeconds = (): string =>
  `${600 + Math.floor(Math.random() * 100)}.${crypto.randomUUID().replace(/\D/g, "")}`;

interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** Namespace of process ids: the same for all of a sandbox. */
  readonly space: string;
}

function hostProcesses(): HostProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        if (/^State:\s+Z/m.test(status)) return [];
        return {
          pid: Number(name),
          parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]),
          command: readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " "),
          space: readlinkSync(`/proc/${name}/ns/pid`),
        };
      } catch {
        return []; // it ended in the meantime
      }
    });
}

/** Processes of this machine, in sandboxes or not, that have `text` in their command line. */
export const commandsWith = (text: string): string[] =>
  hostProcesses()
    .filter(({ command }) => command.includes(text))
    .map(({ command }) => command);

/** Whether a job has got as far as that sleep: its shell has the words in its command before it does anything. */
export const sleeps = (seconds: string): boolean =>
  commandsWith(seconds).some((command) => command.startsWith("sleep "));

/** The bubblewrap processes a server has started. */
export const wallsOf = (serverPid: number): number[] =>
  hostProcesses()
    .filter(({ parent, command }) => parent === serverPid && /^\S*bwrap /.test(command))
    .map(({ pid }) => pid);

/** Kills the sandbox in which a command with `text` runs, as an out-of-memory killer would. */
export function killSandboxWith(serverPid: number, text: string): void {
  const all = hostProcesses();
  const walls = new Set(wallsOf(serverPid));
  const spaces = new Set(all.filter(({ command }) => command.includes(text)).map(({ space }) => space));
  const first = all.filter(({ parent, space }) => walls.has(parent) && spaces.has(space));
  if (first.length !== 1) throw new Error(`${first.length} sandboxes run a command with ${text}`);
  for (const { parent } of first) process.kill(parent, "SIGKILL");
}
