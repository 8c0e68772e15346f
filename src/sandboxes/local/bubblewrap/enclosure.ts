import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import type { Clock } from "../../../shared/clock.ts";
import { within } from "../../../shared/deadline.ts";
import { type Failure, PluginError } from "../../../shared/error-code.ts";
import type { Log } from "../../../shared/log.ts";
import { withAnonymousFiles } from "../anonymous-file.ts";
import { HOST_ENV, runHostTool } from "../host-tools.ts";
import type { Enclosure, EnclosurePlan } from "../isolation.ts";
import type { Cgroup } from "./cgroup.ts";
import { freezeCgroup } from "./cgroup-freezer.ts";
import { enterLaunch } from "./enter.ts";
import { launcherArgs } from "./launcher.ts";
import { Namespaces } from "./namespaces.ts";
import { type Network, openNetwork } from "./network.ts";
import { SandboxProcesses } from "./sandbox-processes.ts";
import { limitShares } from "./user-shares.ts";

export interface WallTools {
  readonly bwrap: string;
  readonly nsenter: string;
  readonly setpriv: string;
}

export interface CallFilter {
  /** The filter as the kernel takes it, for the first process. */
  readonly program: Uint8Array;
  /** The program that loads it for every command. */
  readonly entry: Uint8Array;
}

export interface WallPlan extends EnclosurePlan {
  readonly tools: WallTools;
  readonly cgroup: Cgroup | null;
  /** bwrap's arguments, without the program to run. */
  readonly args: readonly string[];
  readonly filter: CallFilter;
  readonly insideEnv: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

// The first process: unkillable from inside (pid 1 without handlers), it reaps orphans while it waits in a read that
// never ends. A `sleep` would not do: a job's `pkill sleep` must not end its sandbox. It ends when nobody hears its word:
// bwrap dies with us by asking the kernel for it, and we may have died before it asked.
export const FIRST_PROCESS =
  "f=/dev/shm/.first; mkfifo $f; exec 3<>$f; rm $f; echo up || exit; exec >&-; while :; do read -r _ <&3; done";
// bwrap may use three pipes only (see openAnonymousFile): stdin is the gate at 5, stdout carries both the report at 4
// and the first process's word.
const PLUMBING = 'exec "$@" 6<&4 7<&5 4>&1 5<&0 0</dev/null';

/** A loaded machine needs a few seconds at most. */
const RAISE_MS = 60_000;
/** Longer than everything that is waited for on the way. */
const CLOSE_MS = 20_000;

/** Raises the walls and holds them. @throws Error with bwrap's own words when they do not stand */
export async function openEnclosure(plan: WallPlan): Promise<Enclosure> {
  const child = spawnWalls(plan);
  const gone = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const said = listen(child.stdout as Readable, gone);
  const stderr = tail(child.stderr as Readable);
  let namespaces: Namespaces | null = null;
  let network: Network | null = null;
  let isLate = false;
  const onTime = plan.clock.after(RAISE_MS, () => {
    isLate = true;
    child.kill("SIGKILL");
  });
  const undo = async () => {
    network?.stop();
    child.kill("SIGKILL");
    await gone;
    namespaces?.close();
    await plan.cgroup?.remove();
  };
  try {
    const info = await readInfo(said);
    // The walls wait for descriptor 5 in the outer user namespace; once they go on, only the inner one can be opened.
    const first = info["child-pid"] as number;
    namespaces = Namespaces.of(first, info);
    const processes = new SandboxProcesses(info["pid-namespace"] as number, first, plan.clock);
    child.stdin?.end();
    // Before this line the new root is half built, with the host's still beneath it: nobody may enter yet.
    await said("up\n");
    await lockDevices(namespaces, plan.tools.nsenter);
    const unlimited = await limitShares(namespaces, plan.tools.nsenter);
    const notes = [...plan.notes, ...(unlimited === null ? [] : [unlimited])];
    if (plan.network === "open") {
      network = await openNetwork(namespaces, plan.tools.nsenter, plan.clock).catch((error: Error) => {
        notes.push(error.message.startsWith("No network") ? error.message : `No network: ${error.message}.`);
        return null;
      });
    }
    return stand({ ...plan, notes }, child, gone, { namespaces, processes, network });
  } catch (error) {
    await undo();
    const late = isLate ? `it did not raise its walls in ${RAISE_MS / 1000} s` : "";
    throw new Error(late || stderr() || (error as Error).message, { cause: error });
  } finally {
    onTime();
  }
}

/**
 * Makes the mounts of the host's devices read-only: written to they still can be, but not given another mode by a job
 * whose user owns them, as it does when the host process is root. bwrap itself can only make them unusable on the way.
 */
async function lockDevices(namespaces: Namespaces, nsenter: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const lock =
    "for d in null zero full random urandom tty; do /usr/bin/mount -o remount,bind,ro,nosuid,noexec /dev/$d || exit 1; done";
  const { code, stderr } = await runHostTool([
    nsenter,
    "--preserve-credentials",
    ...namespaces.enterArgs(),
    "--",
    "/bin/sh",
    "-c",
    lock,
  ]);
  if (code !== 0) throw new Error(`the devices could not be made read-only: ${stderr}`);
}

function spawnWalls(plan: WallPlan): ChildProcess {
  // Through a descriptor, so that host paths are in no command line; with no environment, since the job can read it.
  const shell = existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh";
  const bwrap = ["/bin/sh", "-c", PLUMBING, "walls", plan.tools.bwrap, "--args", "3", "--", shell, "-c", FIRST_PROCESS];
  const { file, args } = launcherArgs(5, plan.cgroup?.procsFiles ?? [], bwrap);
  const texts = [Buffer.from(plan.args.map((each) => `${each}\0`).join("")), plan.filter.entry, plan.filter.program];
  const child = withAnonymousFiles(texts, (fds) =>
    spawn(file, args, { env: { ...HOST_ENV }, cwd: "/", detached: true, stdio: ["pipe", "pipe", "pipe", ...fds] }),
  );
  child.stdin?.on("error", () => {});
  return child;
}

/** What is held of standing walls. */
interface Held {
  readonly namespaces: Namespaces;
  readonly processes: SandboxProcesses;
  readonly network: Network | null;
}

function stand(
  plan: WallPlan,
  child: ChildProcess,
  gone: Promise<string>,
  { namespaces, processes, network }: Held,
): Enclosure {
  let alive = true;
  let isCut = false;
  let left = 0;
  let reason: Failure | null | undefined;
  const ended = gone.then(async (how): Promise<Failure | null> => {
    alive = false;
    network?.stop();
    left = await processes.gone();
    if (left === 0) namespaces.close();
    await plan.cgroup
      ?.remove()
      .catch((error: unknown) =>
        plan.log("warn", "A cgroup could not be removed", { sandboxId: plan.id, error: String(error) }),
      );
    if (reason !== undefined) return reason;
    return { code: "sandbox_lost", message: `The sandbox's first process ended (${how}).`, retryable: true };
  });
  const close = async (why: Failure | null) => {
    if (alive && reason === undefined) reason = why;
    alive = false;
    child.kill("SIGKILL");
    const doing = `Ending sandbox ${plan.id}`;
    const isAgain = left > 0;
    await within(ended, { clock: plan.clock, limitMs: CLOSE_MS, doing }).catch(() => {
      left ||= 1;
    });
    if (isAgain) left = await processes.gone();
    if (left === 0) return namespaces.close();
    // Its directories stay: what runs may still write to them.
    const message = `Sandbox ${plan.id} could not be ended: ${left} of its processes did not die when they were killed; they wait for a device or a file system that does not answer.`;
    throw new PluginError("sandbox_lost", message, { retryable: true });
  };
  return {
    workdir: plan.workdir,
    home: "/home/agent",
    tmp: "/tmp",
    logs: "/run/logs",
    notes: plan.notes,
    alive: () => alive,
    ended,
    launch(command) {
      if (!alive) throw new PluginError("sandbox_lost", `Sandbox ${plan.id} has ended.`, { retryable: true });
      return enterLaunch(plan.tools, namespaces, plan.cgroup, plan.limits, {
        ...command,
        env: { ...plan.insideEnv, ...command.env },
      });
    },
    signal: (spawned, signal, below) => processes.signal(spawned, signal, below),
    follow: (spawned) => processes.follow(spawned),
    abandon: (spawned) => processes.abandon(spawned),
    async still() {
      if (!alive) return async () => {};
      const frozen = plan.cgroup && (await freezeCgroup(dirname(plan.cgroup.procsFiles[0] ?? ""), plan.clock));
      return frozen ?? processes.still();
    },
    held: () => processes.held(plan.dirs.root),
    async tend() {
      if (!alive || !network) return;
      await network.resync().catch((error: unknown) => {
        if (!alive || isCut) return;
        isCut = true;
        plan.log("warn", "A sandbox lost its network: the host could not be shut off", {
          sandboxId: plan.id,
          error: String(error),
        });
      });
    },
    close,
  };
}

async function readInfo(said: (mark: string) => Promise<string>): Promise<Record<string, number>> {
  const info = JSON.parse(await said("}")) as Record<string, number>;
  if (!Number.isInteger(info["child-pid"])) throw new Error("bwrap did not say which process it made");
  return info;
}

/** Resolves with what was written when it contains `mark`; rejects when the writer ends before. */
function listen(stream: Readable, gone: Promise<string>): (mark: string) => Promise<string> {
  let all = "";
  let look = () => {};
  stream.on("data", (bytes) => {
    // Bounded, because a job can get hold of this pipe.
    if (all.length < 65_536) all += String(bytes);
    look();
  });
  return (mark) =>
    new Promise((resolve, reject) => {
      look = () => all.includes(mark) && resolve(all);
      look();
      void gone.then((how) => reject(new Error(`bwrap ended at once (${how})`)));
    });
}

function tail(stream: Readable): () => string {
  let text = "";
  stream.on("data", (bytes) => {
    text = (text + String(bytes)).slice(-1000);
  });
  return () => text.trim();
}
