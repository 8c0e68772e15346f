import { type Failure, PluginError } from "../../shared/error-code.ts";
import type { SandboxSignal } from "../port.ts";
import type { Enclosure, EnclosurePlan, Isolation, Launch } from "./isolation.ts";
import { plainTrees } from "./plain-trees.ts";
import { commandScript, READ_SCRIPT } from "./shell-script.ts";

/**
 * Isolation "none": plain processes in the sandbox's directories. It protects nothing and is used only when the user
 * names it; it exists for containers that are thrown away as a whole.
 */
export function createBareIsolation(hostPath: string): Isolation {
  const notes = ["This sandbox is not isolated: commands run on the host as its user.", NO_LIMITS];
  return {
    kind: "none",
    lent: null,
    trees: plainTrees,
    async open(plan) {
      return bareEnclosure(plan, notes, { PATH: hostPath }, ({ argv }) => argv);
    },
  };
}

/** Disk and files are counted all the same. */
export const NO_LIMITS = "Neither memory nor the number of processes is limited in this sandbox.";

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
      if (!alive) throw new PluginError("sandbox_lost", `Sandbox ${plan.id} has ended.`, { retryable: true });
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
    follow: () => {},
    abandon: (spawned) => signalGroup(spawned, "SIGKILL"),
    // Nothing here tells the job's processes from others.
    still: async () => async () => {},
    held: async () => ({ bytes: 0, files: 0 }),
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
