import { execFile } from "node:child_process";
import { cp, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Failure, LabError } from "../../shared/error-code.ts";
import type { SandboxSignal } from "../port.ts";
import type { Enclosure, EnclosurePlan, Isolation, Launch, TreeTools } from "./isolation.ts";
import { commandScript, READ_SCRIPT } from "./shell-script.ts";

/**
 * Isolation "none": plain processes in the sandbox's directories. It protects nothing and is used only when the user
 * names it; it exists for containers that are thrown away as a whole.
 */
export function createBareIsolation(hostPath: string): Isolation {
  const notes = ["This sandbox is not isolated: commands run on the host as its user."];
  return {
    kind: "none",
    trees: bareTrees,
    async open(plan) {
      return bareEnclosure(plan, notes, { PATH: hostPath }, ({ argv }) => argv);
    },
  };
}

/** Walls without namespaces: what is started is remembered and killed by process group. Seatbelt adds a profile to it. */
export function bareEnclosure(
  plan: EnclosurePlan,
  notes: readonly string[],
  env: Record<string, string>,
  wrap: (stage: { argv: string[] }) => string[],
): Enclosure {
  let alive = true;
  let end: (failure: Failure | null) => void = () => {};
  const ended = new Promise<Failure | null>((resolve) => (end = resolve));
  const { workspace, home, tmp, logs } = plan.dirs;
  const base = { ...env, HOME: home, TMPDIR: tmp, USER: "agent", LANG: "C.UTF-8", TERM: "xterm-256color", ...plan.env };
  return {
    workdir: workspace,
    home,
    tmp,
    logs,
    notes,
    ended,
    alive: () => alive,
    launch(command): Launch {
      if (!alive) throw new LabError("sandbox_lost", `Sandbox ${plan.id} has ended.`, { retryable: true });
      const [file, ...args] = wrap({ argv: ["/bin/sh", "-c", READ_SCRIPT] });
      const script = commandScript({ ...command, env: { ...base, ...command.env } });
      return {
        file: file as string,
        args,
        env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
        cwd: workspace,
        script,
        settled: () => {},
      };
    },
    signal: (spawned, signal) => signalGroup(spawned, signal),
    abandon: (spawned) => signalGroup(spawned, "SIGKILL"),
    still: async () => () => {}, // nothing here tells the job's processes from others
    async tend() {},
    async close(reason) {
      alive = false;
      end(reason);
    },
  };
}

function signalGroup(leader: number, signal: SandboxSignal): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export const bareTrees: TreeTools = {
  async copy(pairs, { below = ".", signal } = {}) {
    for (const { from, to } of pairs) {
      signal?.throwIfAborted();
      const source = await realpath(join(from, below));
      if (source !== (await realpath(from)) && !source.startsWith(`${await realpath(from)}/`))
        throw new Error("the path leads out of the directory");
      await cp(source, join(to, below), {
        recursive: true,
        verbatimSymlinks: true,
        preserveTimestamps: true,
        force: true,
      });
    }
  },
  remove: (path) => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  async sizeBytes(path) {
    const { stdout } = await promisify(execFile)("du", ["-sk", path]).catch(() => ({ stdout: "0" }));
    return (Number.parseInt(stdout, 10) || 0) * 1024;
  },
};
