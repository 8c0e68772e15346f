import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Options } from "../../config/schema.ts";
import { createProvider, lendingRules, machineGpus } from "../../providers/create-provider.ts";
import { boundProvider } from "../../sandboxes/bounded-provider.ts";
import { createOwnLimiter } from "../../sandboxes/creation-limiter.ts";
import { systemPaths } from "../../sandboxes/local/bubblewrap/root-filesystem.ts";
import { createLocalProvider } from "../../sandboxes/local/local-provider.ts";
import type { Sandbox, SandboxProvider, SandboxSpec } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { randomId } from "../../shared/ids.ts";
import { runScript } from "../../workspace/sandbox/run-script.ts";
import { ISOLATION, type Trial, type TrialStep } from "./checks/sandbox.ts";

export interface TrialDeps {
  readonly options: Options;
  /** The folder whose project's files are not lent. */
  readonly directory: string;
  /** A private folder that is removed at the end whatever happens. */
  readonly scratch: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const SPEC: SandboxSpec = {
  name: "doctor",
  tags: {},
  snapshotID: null,
  workdir: "/workspace",
  env: {},
  memoryMiB: null,
  network: "open",
};

/** Makes a local sandbox apart from those of jobs, works in it, and removes it. */
export async function tryLocal(deps: TrialDeps): Promise<Trial> {
  const { options, directory, scratch, env, clock } = deps;
  const rootDir = await mkdtemp(join(scratch, "local-"));
  const { isolation } = options.local;
  const lending = lendingRules(options, directory, env);
  const made = createLocalProvider({
    rootDir,
    isolation,
    lending,
    clock,
    log: () => {},
    ids: () => randomId("x").slice(2),
    limits: { hostFreeMiB: 0 }, // it lies where temporary files do; the disk of the state is looked at by itself
  });
  const provider = boundProvider(made, clock, options.modal.snapshotTimeoutSeconds * 1000);
  const kind = isolation === "auto" ? "bubblewrap" : isolation;
  try {
    const trial = await tryProvider(provider, deps);
    const lent = trial.failure?.doing === ISOLATION ? null : ((await provider.lent?.().catch(() => null)) ?? null);
    const gpus = await machineGpus(options, env, () => {}).read();
    return { ...trial, isolation: kind, lent, gpus, system: kind === "bubblewrap" ? systemPaths() : [] };
  } finally {
    await provider.close();
    await rm(rootDir, { recursive: true, force: true });
  }
}

/** The same on Modal, which costs a fraction of a cent. */
export async function tryModal(deps: TrialDeps): Promise<Trial> {
  const { options, clock } = deps;
  const { createsPerSecond, createsBurst } = options.modal;
  const limiter = createOwnLimiter({ perSecond: createsPerSecond, burst: createsBurst }, clock);
  const made = await createProvider("modal", options, null, limiter, () => {});
  const provider = boundProvider(made, clock, options.modal.snapshotTimeoutSeconds * 1000);
  try {
    return { ...(await tryProvider(provider, deps)), isolation: "none", lent: null, gpus: null, system: [] };
  } finally {
    await provider.close();
  }
}

async function tryProvider(
  provider: SandboxProvider,
  { clock, signal }: Pick<TrialDeps, "clock" | "signal">,
): Promise<Pick<Trial, "steps" | "failure" | "notes" | "isRemoved">> {
  const steps: TrialStep[] = [];
  let doing = ISOLATION;
  const step = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    doing = what;
    const since = clock.now();
    signal.throwIfAborted();
    const result = await work();
    steps.push({ doing: what, inMs: Math.max(0, clock.now() - since) });
    return result;
  };
  let sandbox: Sandbox | null = null;
  let failure: Trial["failure"] = null;
  try {
    const made = await step(ISOLATION, () => provider.create(SPEC, signal));
    sandbox = made;
    await step("running a command", () => expectOutput(made, "echo works", "works\n", clock));
    const content = new TextEncoder().encode("written by doctor\n");
    await step("writing a file", () => made.writeFile("doctor.txt", content));
    await step("reading it", async () => {
      const read = await made.readFile("doctor.txt", { offset: 0, maxBytes: 100 });
      if (Buffer.compare(read, content) !== 0) throw new Error("what was read is not what was written");
    });
  } catch (error) {
    failure = { doing, why: error instanceof Error ? error.message : String(error) };
  }
  const notes = sandbox?.notes ?? [];
  if (sandbox === null) return { steps, failure, notes, isRemoved: true };
  const since = clock.now();
  const isRemoved = await sandbox.terminate().then(
    () => true,
    () => false,
  );
  if (isRemoved && failure === null) steps.push({ doing: "ending it", inMs: Math.max(0, clock.now() - since) });
  return { steps, failure, notes, isRemoved };
}

const COMMAND_MS = 60_000;

async function expectOutput(sandbox: Sandbox, script: string, expected: string, clock: Clock): Promise<void> {
  const { workdir } = sandbox;
  const { code, stdout } = await runScript(sandbox, script, [], { clock, limitMs: COMMAND_MS, workdir });
  if (stdout !== expected) throw new Error(`it printed ${JSON.stringify(stdout.slice(0, 200))} and ended with ${code}`);
}
