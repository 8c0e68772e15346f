import { withOwnPath } from "../../config/own-path.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import type { SandboxSignal } from "../port.ts";
import { isDriverLoaded } from "./gpus/driver-files.ts";
import type { Isolation, IsolationBackend, IsolationPlan, Launch } from "./isolation.ts";
import { plainTrees } from "./plain-trees.ts";
import { commandScript, READ_SCRIPT } from "./shell-script.ts";

/**
 * Isolation "none": plain processes in the sandbox's directories. It protects nothing and is used only when the user
 * names it. It exists for containers that are thrown away as a whole.
 */
export function createNoIsolation(hostPath: string): IsolationBackend {
  const notes = ["This sandbox is not isolated: commands run on the host as its user.", NO_LIMITS];
  return {
    kind: "none",
    lent: null,
    trees: plainTrees,
    async open(plan) {
      const all = plan.gpus === null ? notes : [...notes, ...plan.gpus.notes, OTHER_GPUS];
      return processGroupIsolation(plan, all, { PATH: hostPath }, ({ argv }) => argv);
    },
  };
}

const OTHER_GPUS =
  "This machine's other GPUs are not hidden: only CUDA_VISIBLE_DEVICES says which are this job's. Leave it as it is.";

/** Nothing but these variables keeps its processes from GPUs of other jobs. */
const gpuEnv = ({ gpus }: IsolationPlan): Readonly<Record<string, string>> =>
  gpus?.envAmongAll ?? (isDriverLoaded() ? { CUDA_VISIBLE_DEVICES: "", NVIDIA_VISIBLE_DEVICES: "void" } : {});

/** Note for jobs. The limits on disk and number of files still apply. */
export const NO_LIMITS = "Neither memory nor the number of processes is limited in this sandbox.";

/**
 * An isolation without namespaces, which ends commands by their process groups.
 * @param wrap puts the program that isolates, if there is one, before a command line
 */
export function processGroupIsolation(
  plan: IsolationPlan,
  notes: readonly string[],
  env: Record<string, string>,
  wrap: (stage: { argv: string[] }) => string[],
): Isolation {
  let alive = true;
  let end: (failure: Failure | null) => void = () => {};
  const ended = new Promise<Failure | null>((resolve) => (end = resolve));
  const { workspace, home, tmp, logs } = plan.dirs;
  const base = {
    ...env,
    HOME: home,
    TMPDIR: tmp,
    USER: "agent",
    LANG: "C.UTF-8",
    TERM: "xterm-256color",
    ...withOwnPath(plan.env, env.PATH ?? ""),
    ...gpuEnv(plan),
  };
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
        opens: [],
        env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
        cwd: workspace,
        script,
        settled: () => {},
      };
    },
    signal: (spawned, signal) => void signalGroup(spawned, signal),
    group: (spawned) => ({
      isAlive: () => signalGroup(spawned, 0),
      kill: () => signalGroup(spawned, "SIGKILL"),
    }),
    hasOrphans: () => false,
    resumeWaiter: () => {},
    killLaunch: (spawned) => void signalGroup(spawned, "SIGKILL"),
    memoryKills: null,
    processRefusals: null,
    network: null,
    // Without a namespace the job's processes cannot be told from others.
    freeze: async () => async () => {},
    deletedOpenFiles: async () => ({ bytes: 0, files: 0 }),
    async maintain() {},
    async close(reason) {
      alive = false;
      end(reason);
    },
  };
}

/** @param signal 0 only looks whether the group exists, which the result says */
function signalGroup(leader: number, signal: SandboxSignal | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
