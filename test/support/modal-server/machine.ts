import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { readHostPath } from "../../../src/sandboxes/local/bubblewrap/host-path.ts";
import { createCredentialSearch } from "../../../src/sandboxes/local/bubblewrap/lent/credentials-in.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { DRIVER_PATH } from "./gpu.ts";
import { systemBinds } from "./root-tree.ts";
import { type Child, useSpawner } from "./spawner.ts";

/*
 * Runs a sandbox's commands: one bubblewrap per sandbox, which each command enters, so that commands share files and pids.
 * It has only its own loopback, no capabilities, and can write to nothing of the host.
 */

export interface Mount {
  readonly path: string;
  readonly host: string;
  readonly readOnly: boolean;
  /** Whether nobody can list it, as of a bucket that does not exist. */
  readonly isClosed?: boolean;
  /** Whether commands find programs there first. */
  readonly hasPrograms?: boolean;
}

export interface Command {
  readonly argv: readonly string[];
  /** Absolute, in the sandbox. */
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Machine {
  /** Default variables of every command. */
  readonly env: Readonly<Record<string, string>>;
  /** Of its first process. */
  readonly pid: number;
  spawn(command: Command): Child;
  /** Resolves when it has ended, closed or by itself. */
  readonly gone: Promise<void>;
  /** Kills everything in it. */
  close(): Promise<void>;
}

// The command has its own process group, because signals to it, SIGSTOP above all, must not reach the waiting shell.
const WAIT = 'exec 9>&2 2>/dev/null; /usr/bin/setsid -- "$@" 2>&9 9>&-; exit $?';
const NO_CAPS = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"];

const BWRAP = "bwrap";
const NSENTER = "/usr/bin/nsenter";

let works: boolean | undefined;

/** Whether bubblewrap works here, so that sandboxes can be isolated. Tried once. */
export function canIsolate(): boolean {
  works ??= spawnSync(BWRAP, ["--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "true"], { stdio: "ignore" }).status === 0
    && spawnSync(NSENTER, ["--version"], { stdio: "ignore" }).status === 0; // biome-ignore format: two halves
  return works;
}

/** @throws Error where bubblewrap does not work, because commands would run on the host */
export async function startMachine(root: string, scratch: string, mounts: readonly Mount[]): Promise<Machine> {
  if (!canIsolate()) throw new Error("The Modal server needs bubblewrap to play sandboxes on this machine");
  const host = readHostPath({
    hostPath: process.env.PATH ?? "",
    home: homedir(),
    neverLent: [root],
    project: null,
    inside: ["/workspace"],
    readOnlyPaths: [],
    search: createCredentialSearch(systemClock),
  });
  const args = [
    "--unshare-user", "--uid", "0", "--gid", "0", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
    "--hostname", "modal", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--info-fd", "4",
    "--bind", root, "/", ...systemBinds(), ...host.binds.flatMap((path) => ["--ro-bind-try", path, path]),
    "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev",
    ...mounts.flatMap((mount) => [mount.readOnly ? "--ro-bind" : "--bind", mount.host, mount.path]),
  ]; // biome-ignore format: a table
  // Both through files, because the sandbox's process list must not show paths of the host.
  const [argsFile, infoFile] = [join(scratch, "bwrap-args"), join(scratch, "info")];
  writeFileSync(argsFile, args.map((each) => `${each}\0`).join(""));
  const child = useSpawner().start({
    file: BWRAP, args: ["--args", "3", "--", "/bin/sh", "-c", "echo up; read _"],
    cwd: "/", env: { PATH: "/usr/bin:/bin" }, opens: [{ path: argsFile, flags: "r" }, { path: infoFile, flags: "w" }],
  }); // biome-ignore format: short
  let said = "";
  let isGone = false;
  const gone = child.exited.then(({ code, error }) => {
    isGone = true;
    said += error ?? `(exit code ${code})`;
  });
  const streams = await child.streams;
  streams?.stderr.on("data", (bytes) => (said += String(bytes)));
  const up = new Promise<boolean>((resolve) => {
    streams?.stdout.once("data", () => resolve(true));
    void gone.then(() => resolve(false));
  });
  if (!(await up)) throw new Error(`bubblewrap did not start: ${said}`);
  const pid = (JSON.parse(readFileSync(infoFile, "utf8")) as { "child-pid": number })["child-pid"];
  const enter = ["-t", String(pid), "--preserve-credentials", "-F", "-U", "-m", "-p", "-i", "-u", "-n"];
  const programs = mounts.filter((mount) => mount.hasPrograms).map((mount) => `${mount.path}:`);
  return {
    gone,
    pid,
    env: {
      PATH: `${programs.join("")}${host.path}:${DRIVER_PATH}`,
      HOME: "/root",
      LANG: "C.UTF-8",
      SHELL: "/bin/sh",
      ...host.env,
    },
    spawn: ({ argv, workdir, env }) =>
      useSpawner().start({
        file: NSENTER,
        args: [
          ...[...enter, `--wdns=${workdir}`, "--"],
          ...["/usr/bin/setpriv", ...NO_CAPS, "/bin/sh", "-c", WAIT, "exec", ...argv],
        ],
        cwd: "/",
        env,
        opens: [],
      }),
    async close() {
      if (isGone) return; // its pid may be that of another process by now
      child.kill();
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // it ended with bubblewrap
      }
      await gone;
    },
  };
}

/** Kills the command that the shell `child` waits for, with its whole process group. */
export async function killGroupOf(child: Child): Promise<void> {
  const shell = await child.pid;
  let pid = 0;
  try {
    pid = Number.parseInt(readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8"), 10);
  } catch {
    // it has ended
  }
  if (!(pid > 1)) return child.kill();
  // Before its setsid() it does not lead a group yet.
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, "SIGKILL");
    } catch {
      // it has ended
    }
  }
}
