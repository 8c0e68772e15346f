import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { MachineSpec, SandboxGpu, SandboxPort } from "../port.ts";
import { WORKDIR_VARIABLE } from "./create-params.ts";
import { execOnce } from "./exec-once.ts";
import { messageOf } from "./modal-error.ts";
import { bucketCheck, bucketFailure } from "./mounts.ts";
import type { SandboxCoreParts } from "./sandbox-core.ts";
import { openShell, READY, WAIT, WAITING, type WaitingShell } from "./waiting-shell.ts";
import { RUN_DIR } from "./wrapper-script.ts";

/*
 * The first command of every sandbox. Modal takes snapshots only of a sandbox that has run a command, so it is needed for
 * that too.
 */
const FIRST = `w=\${1:-\${${WORKDIR_VARIABLE}:-$PWD}}
mkdir -p -- "$w" && cd -- "$w" || exit 1
mkdir -p -m 700 ${RUN_DIR}
last=${READY}; [ -z "$2" ] || ! command -v env >/dev/null || last=${WAITING}
printf '%s\\n' "$w" "\${HOME:-/root}" "$(command -v script)" "$PATH" "$last"
[ "$last" = ${READY} ] || { ${WAIT}; }`;

export interface Prepared {
  readonly workdir: string;
  readonly home: string;
  /** Whether the image has `script`, which provides better terminals than Modal's exec. */
  readonly hasScript: boolean;
  /** The image's PATH. */
  readonly path: string;
  /** What waits for the next command; null = nothing. */
  readonly shell: WaitingShell | null;
}

type Target = Pick<SandboxCoreParts, "sandbox" | "clock" | "log">;

/**
 * Makes the work directory and reads what commands need to know.
 * @param workdir null = the work directory that the sandbox was created with
 * @param waitMs how long a shell for the next command may wait and run, whole seconds; null = none is wanted
 * @throws PluginError `sandbox_create_failed` when the work directory cannot be made; else what the SDK throws
 */
export async function prepareSandbox(
  { sandbox, clock }: Target,
  workdir: string | null,
  limitMs: number,
  waitMs: number | null,
  signal?: AbortSignal,
): Promise<Prepared> {
  const limit = { clock, limitMs, doing: `The first command in sandbox ${sandbox.sandboxId}`, signal };
  const argv = ["/bin/sh", "-c", FIRST, "first", workdir ?? ""];
  const isSuccess = (printed: Uint8Array) => Buffer.from(printed).toString().endsWith(`\n${READY}\n`);
  const { code, stdout, stderr, shell } =
    waitMs === null
      ? { ...(await execOnce(sandbox, argv, { ...limit, isSuccess })), shell: null }
      : await openShell(sandbox, [...argv, "wait"], waitMs, limit);
  const [found = "", home = "", script = "", path = ""] = Buffer.from(stdout).toString().split("\n");
  if (code === 0 && found !== "") return { workdir: found, home, hasScript: script !== "", path, shell };
  const said = Buffer.from(stderr).toString().trim().slice(0, 300);
  throw new PluginError(
    "sandbox_create_failed",
    `Sandbox ${sandbox.sandboxId} could not make its work directory ${workdir ?? ""} (${said || `its shell ended with ${code}`}). Its image needs /bin/sh.`,
    { retryable: false },
  );
}

/** What may be a program of the job's own cannot tell more. */
const MOST_DEVICES = 16;
const NAME_CHARS = 100;

/** The devices of a sandbox, which may be better ones than requested. Empty when they cannot be read; never throws. */
export async function readDevices(
  { sandbox, clock, log }: Target,
  granted: SandboxGpu["granted"],
  limitMs: number,
): Promise<SandboxGpu> {
  const query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"];
  try {
    const { code, stdout } = await execOnce(sandbox, query, { clock, limitMs, doing: "Asking for the GPUs" });
    const names = Buffer.from(stdout)
      .toString()
      .split("\n")
      .map((line) => line.trim().slice(0, NAME_CHARS))
      .filter(Boolean)
      .slice(0, MOST_DEVICES);
    if (code === 0) return { granted, devices: names };
    log("debug", "The GPUs of a sandbox could not be read", { sandboxID: sandbox.sandboxId, code });
  } catch (error) {
    log("debug", "The GPUs of a sandbox could not be read", { sandboxID: sandbox.sandboxId, error: messageOf(error) });
  }
  return { granted, devices: [] };
}

/** The tunnels of a sandbox's ports. @throws what the SDK throws @source Modal JS SDK 0.11.1, Sandbox.tunnels */
export async function readPorts(
  { sandbox, clock }: Target,
  wanted: readonly number[],
  limitMs: number,
): Promise<readonly SandboxPort[]> {
  if (wanted.length === 0) return [];
  const tunnels = await within(sandbox.tunnels(limitMs), { clock, limitMs: limitMs * 2, doing: "Waiting for tunnels" });
  return wanted.flatMap((port) => (tunnels[port] ? { port, url: tunnels[port].url } : []));
}

/** Refuses a bucket that cannot be listed. @throws PluginError `sandbox_create_failed` */
export async function checkBuckets(
  { sandbox, clock, log }: Target,
  machine: MachineSpec,
  limitMs: number,
): Promise<void> {
  const check = bucketCheck(machine);
  if (check === null) return;
  const printed = await execOnce(sandbox, check, { clock, limitMs, doing: "Listing the buckets" }).then(
    ({ stdout }) => Buffer.from(stdout).toString(),
    (error: unknown) => {
      // A bucket with very many keys is not listed in time, which shows that it can be.
      log("debug", "The buckets were not listed", { sandboxID: sandbox.sandboxId, error: messageOf(error) });
      return "";
    },
  );
  const failure = bucketFailure(printed, machine);
  if (failure) throw failure;
}
