import { within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { SandboxGpu, SandboxPort } from "../port.ts";
import { WORKDIR_VARIABLE } from "./create-params.ts";
import { execOnce } from "./exec-once.ts";
import { wordsOf } from "./modal-error.ts";
import type { SandboxCoreParts } from "./sandbox-core.ts";
import { RUN_DIR } from "./wrapper-script.ts";

/*
 * The first command of every sandbox. It also is the one Modal needs to have seen before a snapshot can be taken.
 */
const FIRST = `w=\${1:-\${${WORKDIR_VARIABLE}:-$PWD}}
mkdir -p -- "$w" && cd -- "$w" || exit 1
mkdir -p -m 700 ${RUN_DIR}
printf '%s\\n' "$w" "\${HOME:-/root}"
command -v script || :`;

export interface Prepared {
  readonly workdir: string;
  readonly home: string;
  /** Whether the image has \`script\`, which gives better terminals than the exec's own. */
  readonly hasScript: boolean;
}

type Target = Pick<SandboxCoreParts, "sandbox" | "clock" | "log">;

/**
 * Makes the work directory and learns what commands will need to know. Rejects with what the SDK throws.
 * @param workdir null = the one the sandbox was created with
 */
export async function prepareSandbox(
  { sandbox, clock }: Target,
  workdir: string | null,
  limitMs: number,
  signal?: AbortSignal,
): Promise<Prepared> {
  const doing = `The first command in sandbox ${sandbox.sandboxId}`;
  const { code, stdout, stderr } = await execOnce(sandbox, ["/bin/sh", "-c", FIRST, "first", workdir ?? ""], {
    clock,
    limitMs,
    doing,
    signal,
  });
  const [found = "", home = "", script = ""] = Buffer.from(stdout).toString().split("\n");
  if (code === 0 && found !== "") return { workdir: found, home, hasScript: script !== "" };
  const said = Buffer.from(stderr).toString().trim().slice(0, 300);
  throw new PluginError(
    "sandbox_create_failed",
    `Sandbox ${sandbox.sandboxId} could not make its work directory ${workdir ?? ""} (${said || `its shell ended with ${code}`}). Its image needs /bin/sh.`,
    { retryable: false },
  );
}

/** The devices a sandbox has: what was granted may be better than what was asked for. */
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
      .map((line) => line.trim())
      .filter(Boolean);
    if (code === 0) return { granted, devices: names };
    log("debug", "The GPUs of a sandbox could not be read", { sandboxID: sandbox.sandboxId, code });
  } catch (error) {
    log("debug", "The GPUs of a sandbox could not be read", { sandboxID: sandbox.sandboxId, error: wordsOf(error) });
  }
  return { granted, devices: [] };
}

/** The tunnels of a sandbox. Rejects with what the SDK throws. */
export async function readPorts(
  { sandbox, clock }: Target,
  wanted: readonly number[],
  limitMs: number,
): Promise<readonly SandboxPort[]> {
  if (wanted.length === 0) return [];
  const tunnels = await within(sandbox.tunnels(limitMs), { clock, limitMs: limitMs * 2, doing: "Waiting for tunnels" });
  return wanted.flatMap((port) => (tunnels[port] ? { port, url: tunnels[port].url } : []));
}
