import { type Environment, setupOf } from "../../config/environment.ts";
import type { EnvironmentImage } from "../../core/environment-image.ts";
import type { Job } from "../../core/job.ts";
import { createOutputWindow } from "../../core/output-window.ts";
import { toTags } from "../../core/sandbox-tags.ts";
import { describeSetupFailure, hideValues, QUOTED_LINES, type SetupEnd } from "../../core/setup-failure.ts";
import type { StepListener } from "../../sandboxes/creation-steps.ts";
import { toMachineSpec, toSandboxEnv, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { USERS_PROGRAMS } from "../../sandboxes/shell-command.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import { nameList } from "../../shared/plain-text.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { Person } from "../../workspace/project/identity.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { followScript, runScript, ScriptTimeoutError } from "../../workspace/sandbox/run-script.ts";
import { sendTree } from "../../workspace/sandbox/send-tree.ts";
import { settleTree } from "../../workspace/sandbox/settle-tree.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { leftRunning, runningIn } from "./left-running.ts";

export interface ImageRequest {
  /** As the user calls it. */
  readonly name: string;
  readonly environment: Environment;
  readonly key: string;
  /** null = it starts without a project's files. */
  readonly tree: { readonly project: ProjectStore; readonly base: TreeBase; readonly identity: Person } | null;
  /** The job that the sandbox and its cost are recorded for. */
  readonly job: Job;
  readonly provider: SandboxProvider;
  /** Aborted when nobody waits for it any more, or OpenCode ends. */
  readonly signal: AbortSignal;
  readonly onStep: StepListener;
  /** Told the sandbox once it is there. Its cost counts from `billedSince` on. */
  readonly onSandbox: (sandbox: Sandbox, billedSince: number) => void;
}

export interface BuiltImage extends Omit<EnvironmentImage, "tookMs" | "usd"> {
  /** The sandbox that it was taken of. */
  readonly sandboxID: string;
}

export interface BuildImageDeps {
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly pool: Pick<PoolStore, "identity" | "insertSandbox">;
  /** Longest duration of all commands together. */
  readonly limitMs: number;
  readonly clock: Clock;
  readonly ids: IdGenerator;
}

/** Time for sending the project's files and for the snapshot, beside the commands. */
const SLACK_MS = 30 * 60_000;
const MINUTE_MS = 60_000;
/** Views show the newest line, but nobody reads a hundred a second. */
const SHOW_MS = 1_000;

/**
 * Runs an environment's set-up in a sandbox of its own, which is like a job's but for GPUs and ports, and freezes it.
 * The caller gives the sandbox back.
 * @throws PluginError `setup_failed`, `workspace_failed`, `snapshot_failed`, `cancelled`, and what making a sandbox may throw
 */
export async function buildImage(deps: BuildImageDeps, request: ImageRequest): Promise<BuiltImage> {
  const { environment, job, key, provider, signal, tree } = request;
  const { clock, hostEnv, pool } = deps;
  const { snapshots } = provider;
  if (!snapshots)
    throw new PluginError("setup_failed", `The ${provider.name} provider cannot take snapshots.`, { retryable: false });
  // Garbage collection finds it by the job's id. The job's own sandbox is named after that id too, hence the suffix.
  const identity = { name: `${job.id}-setup`, tags: { ...toTags(job, pool.identity()), environment: key } };
  const spec = toSandboxSpec(environment, hostEnv, { ...identity, snapshotID: null });
  const machine = { ...toMachineSpec(environment), ports: [], lifetimeMs: deps.limitMs + SLACK_MS };
  const sandbox = await provider.create({ ...spec, machine }, signal, request.onStep);
  pool.insertSandbox(sandbox.id, provider.name, job.id, job.orchestrator, clock.now());
  request.onSandbox(sandbox, sandbox.billedSince ?? clock.now());
  const before = tree && (await send(deps, sandbox, tree));
  const running = () => runningIn(provider, sandbox, { clock, limitMs: MINUTE_MS });
  const known = await running();
  await runSetup(deps, request, sandbox);
  const left = leftRunning(known, await running());
  // It may have installed git, by which jobs' changes are collected.
  const form = tree && before === "files" && (await hasGit(sandbox, clock)) ? await send(deps, sandbox, tree) : before;
  const settled = tree && form === "repository" ? await settle(sandbox, request.name, tree.base, clock) : [];
  const { id, expiresAt, leftOut } = await snapshots.take(sandbox, null);
  return {
    snapshotID: id,
    sandboxID: sandbox.id,
    provider: provider.name,
    tree:
      tree && form
        ? { commit: tree.base.commit, emptyFolders: tree.base.emptyFolders, form, identity: tree.identity }
        : null,
    builtAt: clock.now(),
    expiresAt,
    notes: [...left, ...settled, ...leftOut.map((what) => `Of what the environment's set-up left: ${what}`)],
  };
}

const send = (
  { clock, ids }: BuildImageDeps,
  sandbox: Sandbox,
  { project, base, identity }: NonNullable<ImageRequest["tree"]>,
) => sendTree({ store: project, base, from: null, identity, sandbox, clock, scratchID: ids("send") });

const hasGit = async (sandbox: Sandbox, clock: Clock): Promise<boolean> =>
  (await runScript(sandbox, "command -v git", [], { clock, limitMs: MINUTE_MS })).code === 0;

/** Uses bash where the sandbox has it, as jobs' commands do. */
const SHELL = `exec 2>&1 </dev/null; ${USERS_PROGRAMS}
if command -v bash >/dev/null 2>&1; then exec bash -c "$1"; else exec sh -c "$1"; fi`;

/** @throws PluginError `setup_failed`, `sandbox_lost`, `cancelled` */
async function runSetup(
  { clock, hostEnv, limitMs }: BuildImageDeps,
  { name, environment, signal, onStep }: ImageRequest,
  sandbox: Sandbox,
): Promise<void> {
  const commands = setupOf(environment);
  const hidden = Object.values(toSandboxEnv(environment, hostEnv));
  const since = clock.now();
  for (const [index, command] of commands.entries()) {
    const at = { environment: name, step: index + 1, of: commands.length, command };
    const show = (line: string | null) =>
      onStep({ kind: "setup", since, ...at, command: hideValues(command, hidden), line });
    const window = createOutputWindow();
    let shownAt = clock.now();
    show(null);
    const end = await run(command, (bytes) => {
      window.push(bytes);
      if (clock.now() - shownAt < SHOW_MS) return;
      shownAt = clock.now();
      show(hideValues(window.tail(1), hidden));
    });
    if (signal.aborted) throw new PluginError("cancelled", `The set-up of environment ${name} was stopped.`);
    if (end.kind === "exited" && end.code === 0) continue;
    if (end.kind === "unknown") await throwIfLost(sandbox, clock);
    const message = describeSetupFailure(at, end, window.tail(QUOTED_LINES), hidden, sandbox.notes);
    // Whoever lost sight of it may see the next try to its end.
    throw new PluginError("setup_failed", message, { retryable: end.kind === "unknown" });
  }

  async function run(command: string, onOutput: (bytes: Uint8Array) => void): Promise<SetupEnd> {
    const leftMs = Math.max(1, since + limitMs - clock.now());
    const bounds = { clock, limitMs: leftMs, workdir: sandbox.workdir, env: {}, signal };
    try {
      const running = followScript(sandbox, SHELL, [command], bounds);
      for (;;) {
        const next = await running.next();
        if (next.done) return { kind: "exited", code: next.value };
        onOutput(next.value.bytes);
      }
    } catch (error) {
      if (error instanceof PluginError) throw error;
      if (error instanceof ScriptTimeoutError)
        return { kind: "late", limitMinutes: Math.round((limitMs / MINUTE_MS) * 10) / 10 };
      return { kind: "unknown", reason: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** Time from the end of a command to the news that its whole sandbox has ended. */
const LOSS_MS = 2_000;

/** @throws PluginError `sandbox_lost`: in another sandbox the set-up may succeed */
async function throwIfLost(sandbox: Sandbox, clock: Clock): Promise<void> {
  const failure = await Promise.race([sandbox.ended, sleep(clock, LOSS_MS).then(() => null)]);
  if (failure) throw new PluginError("sandbox_lost", failure.message, { retryable: true });
}

/**
 * @returns what jobs should know of the project's files, one sentence each
 * @throws PluginError `workspace_failed`, `sandbox_lost`
 */
async function settle(sandbox: Sandbox, environment: string, { commit }: TreeBase, clock: Clock): Promise<string[]> {
  const { restored, added } = await settleTree(sandbox, environment, commit, clock);
  return [
    ...(restored.length > 0
      ? [
          `The environment's set-up changed files of the project, which are as the project has them: ${nameList(restored)}.`,
        ]
      : []),
    ...(added.length > 0
      ? [
          `The environment's set-up made files in the work directory that git does not ignore. They are there, and are not collected: ${nameList(added)}.`,
        ]
      : []),
  ];
}
