import { dirname } from "node:path";
import type { Clock } from "../../../shared/clock.ts";
import { type Failure, PluginError } from "../../../shared/error-code.ts";
import type { Log } from "../../../shared/log.ts";
import { within } from "../../../shared/time-limit.ts";
import type { Isolation, IsolationPlan } from "../isolation.ts";
import { awaitLoopback } from "./await-loopback.ts";
import { HOME } from "./bwrap-args.ts";
import type { Cgroup } from "./cgroup.ts";
import { freezeCgroup } from "./cgroup-freezer.ts";
import { enterLaunch } from "./enter.ts";
import type { Launchers } from "./launchers.ts";
import { Namespaces } from "./namespaces.ts";
import { type Network, type NetworkTools, setUpAlone, setUpWithNetwork } from "./network.ts";
import { UP } from "./programs/sandbox-programs.ts";
import { type ResolverFile, resolverFolder } from "./resolver-file.ts";
import { SandboxProcesses } from "./sandbox-processes.ts";
import { type BwrapProcess, readReport, type SandboxFiles, startBwrap } from "./start-bwrap.ts";
import { userLimits } from "./user-limits.ts";

/** What every sandbox needs of the host: absolute paths, and how they are started. */
export interface BubblewrapTools {
  readonly bwrap: string;
  readonly nsenter: string;
  readonly launchers: Launchers;
}

export interface BubblewrapPlan extends IsolationPlan {
  readonly tools: BubblewrapTools;
  readonly cgroup: Cgroup | null;
  /** bwrap's arguments, without the program to run. */
  readonly args: readonly string[];
  readonly files: SandboxFiles;
  readonly networkTools: () => NetworkTools | string;
  /** The host's addresses as they were read a moment ago, for all sandboxes that look at them every second. */
  readonly addresses: () => Promise<ReadonlySet<string>>;
  /** null where there is no network. */
  readonly resolverFile: ResolverFile | null;
  readonly insideEnv: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Time limit for bwrap to be up, beside the time that the files take. A loaded machine needs a few seconds at most. */
const OPEN_MS = 60_000;
/** Time limit for closing, longer than the limits of all its steps together. */
const CLOSE_MS = 20_000;

/** Starts bwrap and opens its namespaces. @throws Error with bwrap's own words when the isolation cannot be set up */
export async function openIsolation(plan: BubblewrapPlan): Promise<Isolation> {
  let bwrap: BwrapProcess | null = null;
  let processes: SandboxProcesses | null = null;
  let namespaces: Namespaces | null = null;
  let network: Network | null = null;
  let isLate = false;
  const limit = () =>
    plan.clock.after(OPEN_MS, () => {
      isLate = true;
      bwrap?.giveUp();
    });
  let cancelLimit = limit();
  const undo = async () => {
    network?.stop();
    bwrap?.giveUp();
    await bwrap?.gone;
    await processes?.gone();
    namespaces?.close();
    await removeCgroup(plan);
  };
  try {
    bwrap = startBwrap({ ...plan, ...plan.tools, cgroupProcs: plan.cgroup?.procsFiles ?? [] });
    const report = await readReport(bwrap.output);
    // bwrap waits for descriptor 5 in the outer user namespace. Once it goes on, only the inner one can be opened.
    const first = report["child-pid"] as number;
    namespaces = Namespaces.of(first, report);
    processes = new SandboxProcesses(
      report["pid-namespace"] as number,
      first,
      plan.clock,
      () => plan.cgroup?.pids() ?? null,
    );
    cancelLimit();
    const up = letThrough(plan, bwrap).then(({ output }) => {
      cancelLimit = limit();
      // Until this line arrives the new root is half built, with the host's root still beneath it: nobody may enter yet.
      return output(UP);
    });
    const outside = setUpOutside(plan, namespaces).then((made) => {
      network = made.network;
      return made.notes;
    });
    const [, more] = await Promise.all([up, outside]).catch(async (error) => {
      bwrap?.giveUp();
      await Promise.allSettled([up, outside]);
      throw error;
    });
    const notes = [...plan.notes, ...more];
    return toIsolation({ ...plan, notes }, bwrap, { namespaces, processes, network });
  } catch (error) {
    await undo();
    const late = isLate ? `bwrap was not up within ${OPEN_MS / 1000} s` : "";
    throw new Error(late || bwrap?.stderr() || (error as Error).message, { cause: error });
  } finally {
    cancelLimit();
  }
}

/** Lets bwrap go on when the sandbox has its files. @throws Error when it has ended before */
async function letThrough({ making }: BubblewrapPlan, bwrap: BwrapProcess): Promise<BwrapProcess> {
  const end = bwrap.gone.then((how) => Promise.reject(new Error(`bwrap ended at once (${how})`)));
  await Promise.race([making?.filled, end]);
  bwrap.open();
  return bwrap;
}

/** What concerns neither files nor mounts, and is done meanwhile: the user's limits and the network. */
async function setUpOutside(
  plan: BubblewrapPlan,
  namespaces: Namespaces,
): Promise<Awaited<ReturnType<typeof setUpWithNetwork>>> {
  const { clock } = plan;
  await awaitLoopback(namespaces, clock);
  const { nsenter, launchers } = plan.tools;
  const limits = userLimits();
  const setUp = { namespaces, nsenter, userLimits: limits, limiter: launchers.limiter(limits), clock };
  if (plan.network === "blocked") return { network: null, notes: await setUpAlone(setUp) };
  return setUpWithNetwork(setUp, plan.networkTools(), {
    onLost: (error) => plan.log("warn", "A sandbox lost its network", { sandboxId: plan.id, error }),
    onBack: () => plan.log("info", "A sandbox has its network again", { sandboxId: plan.id }),
  });
}

/** Never rejects: what it was made for has failed or ended, and that is what people should be told. */
async function removeCgroup({ cgroup, log, id }: BubblewrapPlan): Promise<void> {
  await cgroup
    ?.remove()
    .catch((error: unknown) => log("warn", "A cgroup could not be removed", { sandboxId: id, error: String(error) }));
}

/** What is kept of a running isolation. */
interface Handles {
  readonly namespaces: Namespaces;
  readonly processes: SandboxProcesses;
  readonly network: Network | null;
}

function toIsolation(
  plan: BubblewrapPlan,
  { kill, gone }: BwrapProcess,
  { namespaces, processes, network }: Handles,
): Isolation {
  let alive = true;
  let survivors = 0;
  let reason: Failure | null | undefined;
  const ended = gone.then(async (how): Promise<Failure | null> => {
    alive = false;
    network?.stop();
    survivors = await processes.gone();
    if (survivors === 0) namespaces.close();
    await removeCgroup(plan);
    if (reason !== undefined) return reason;
    return { code: "sandbox_lost", message: `The sandbox's first process ended (${how}).`, retryable: true };
  });
  const close = async (why: Failure | null) => {
    if (alive && reason === undefined) reason = why;
    alive = false;
    kill();
    const doing = `Ending sandbox ${plan.id}`;
    const isRetry = survivors > 0;
    await within(ended, { clock: plan.clock, limitMs: CLOSE_MS, doing }).catch(() => {
      survivors ||= 1;
    });
    if (isRetry) survivors = await processes.gone();
    if (survivors === 0) return namespaces.close();
    // Its directories stay, because a surviving process may still write to them.
    const message = `Sandbox ${plan.id} could not be ended. Processes that did not die when they were killed: ${survivors}. They are waiting for a device or a file system that does not answer.`;
    throw new PluginError("sandbox_lost", message, { retryable: true });
  };
  return {
    workdir: plan.workdir,
    home: HOME,
    tmp: "/tmp",
    logs: "/run/logs",
    notes: plan.notes,
    alive: () => alive,
    ended,
    launch(command) {
      if (!alive) throw new PluginError("sandbox_lost", `Sandbox ${plan.id} has ended.`, { retryable: true });
      return enterLaunch(plan.tools, namespaces, plan.cgroup, {
        ...command,
        env: { ...plan.insideEnv, ...command.env },
      });
    },
    signal: (spawned, signal, below) => processes.signal(spawned, signal, below),
    group: (spawned) => processes.group(spawned),
    hasOrphans: () => processes.hasOrphans(),
    resumeWaiter: (spawned) => processes.resumeWaiter(spawned),
    killLaunch: (spawned) => processes.killLaunch(spawned),
    memoryKills: () => plan.cgroup?.memoryKills() ?? null,
    processRefusals: () => plan.cgroup?.processRefusals() ?? null,
    async freeze() {
      if (!alive) return async () => {};
      const frozen = plan.cgroup && (await freezeCgroup(dirname(plan.cgroup.procsFiles[0] ?? ""), plan.clock));
      return frozen ?? processes.freeze();
    },
    deletedOpenFiles: () => processes.deletedOpenFiles(plan.dirs.root),
    network: network && { losses: network.losses, lost: network.lost },
    async maintain() {
      if (!alive) return;
      await network?.resync(plan.addresses);
      await plan.resolverFile?.follow(resolverFolder(plan.dirs)).catch(() => {}); // tried again in a second
    },
    close,
  };
}
