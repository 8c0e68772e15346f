import { defaultOptions } from "../../src/config/schema.ts";
import { openRuntime, type Runtime } from "../../src/jobs/runtime.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import { localProvider } from "../contract/local-support.ts";
import { modalProvider } from "../contract/modal-support.ts";
import { sh } from "../contract/sandbox-shell.ts";
import { createGpuMachine, gpusAt } from "../support/gpu-machine.ts";
import { createScriptedOrchestrator } from "../support/scripted-orchestrator.ts";
import { createScriptedSessions, type ScriptedSessions } from "../support/scripted-sessions.ts";
import { CATALOG } from "../unit/jobs/runtime-world.ts";

/* A process, killed or not, that has jobs with commands on GPUs. */

/** Where sandboxes are made; what the processes that follow each other share. */
export interface BurstPlace {
  readonly name: "local" | "modal";
  readonly stateDir: string;
  /** Root of the stand-in for this machine's driver. */
  readonly driver: string;
}

export interface BurstProcess {
  readonly place: BurstPlace;
  /** The step at which the process kills itself; one that comes again ends with " (2)". */
  readonly killAt: string;
  /** File in which it writes down its steps, each after its moment. */
  readonly log: string;
}

/** Exit code of a process that has not come to its step. */
export const NEVER_REACHED = 3;

export const GPU = {
  local: { type: "H100", count: 1, exact: false, onMachine: true },
  modal: { type: "H100", count: 1, exact: false },
} as const;

export const FILES_BEFORE = "echo old > a; echo old > b; mkdir -p d; echo old > d/gone";
export const COMMAND = "echo new > a; echo new > b; mkdir -p d/e; echo new > d/e/c; rm d/gone";

export const inSandbox = async (sandbox: Pick<Sandbox, "start">, command: string): Promise<string> =>
  (await sh(sandbox, command)).stdout.trim();

export const providerOf = ({ name, stateDir, driver }: BurstPlace): SandboxProvider =>
  name === "local" ? localProvider(`${stateDir}/local`, { gpus: gpusAt(driver) }) : modalProvider();

export async function openBurstRuntime(
  place: BurstPlace,
  {
    lingerSeconds,
    watch = (real) => real,
  }: { lingerSeconds: number; watch?: (real: SandboxProvider) => SandboxProvider },
): Promise<{ readonly runtime: Runtime; readonly sessions: ScriptedSessions; readonly provider: SandboxProvider }> {
  const sessions = createScriptedSessions(systemClock);
  const provider = providerOf(place);
  const runtime = await openRuntime({
    options: { ...defaultOptions(place.stateDir), gpuLingerSeconds: lingerSeconds },
    notices: [], sessions, orchestrators: createScriptedOrchestrator(systemClock), providerName: place.name,
    createProvider: async () => watch(provider), machineGpus: gpusAt(place.driver), catalog: async () => CATALOG,
    directory: null, hostEnv: {}, clock: systemClock, ids: randomId, log: () => {},
  }); // biome-ignore format: a table
  return { runtime, sessions, provider };
}

export const newDriver = () => createGpuMachine([{ minor: 0, bus: "0000:04:00.0" }]);
