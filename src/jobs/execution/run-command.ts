import { constants } from "node:os";
import type { Environment } from "../../config/environment.ts";
import { isEnded } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import { type Measured, type MeasuredNumbers, MeasuredValue } from "../../core/measured-value.ts";
import { createOutputWindow } from "../../core/output-window.ts";
import type { Measurement, RunTask } from "../../core/run-task.ts";
import { RUN_VARIABLE } from "../../core/run-variable.ts";
import { findTraceback, hidesFailures, LINES_TO_SEARCH } from "../../core/traceback.ts";
import {
  describeCommandFailure,
  describeKill,
  describeNoMeasurement,
  LEFT_RUNNING,
  LINES_FOR_RESULT,
  renderRunResult,
  tracebackNote,
  unclearNote,
} from "../../prompt/run-end.ts";
import { type ExitStatus, FileError, type Sandbox, type SandboxProcess } from "../../sandboxes/port.ts";
import { shellCommand } from "../../sandboxes/shell-command.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import { oneLine } from "../../shared/plain-text.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { Execution } from "./execution.ts";
import { type CommandEnd, followCommand } from "./follow-command.ts";
import { watchLimits } from "./limits-reached.ts";
import type { SessionActivity } from "./session-activity.ts";

/** Reads a run's output while it runs. */
export interface OutputReader {
  push(bytes: Uint8Array): void;
  /** The job is about to be ended by someone else: what is read later does not count any more. */
  flush(): void;
  /**
   * The command has ended, which is not recorded yet; or this try of it was stopped.
   * @param isWhole whether the command has ended by itself, so that its last line is whole
   * @returns notes on the run, which are written with its end
   */
  end(isWhole: boolean): readonly string[];
}

/** Makes the reader of one try of a run's command; null = this run needs none. */
export type ReadOutput = (sessionJobs: SessionJobs, jobID: string) => OutputReader | null;

export interface RunCommandDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly activity: Pick<SessionActivity, "showLine" | "beginCommand">;
  readonly readOutput: readonly ReadOutput[];
  readonly clock: Clock;
}

/** A run, one execution of it, and the sandbox that its command runs in. */
export interface CommandContext {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  readonly execution: Execution;
  readonly sandbox: Sandbox;
}

/** How a command has ended by itself. */
export interface CommandOutcome {
  /** null = with exit code 0. */
  readonly failure: Failure | null;
  readonly exitCode: number | null;
  /** The end of its output. */
  readonly result: string;
  /** What it measured, if it is a measurement that succeeded. */
  readonly measured?: MeasuredNumbers | undefined;
  /** What is to be said of its output. */
  readonly notes: readonly string[];
}

/** Time from the end of a command to the news that its whole sandbox has ended. */
const LOSS_MS = 2_000;

/**
 * Runs a run's command in its sandbox.
 * @returns null if it was stopped, or its sandbox was lost
 * @throws PluginError with which the run fails
 */
export async function runCommand(deps: RunCommandDeps, context: CommandContext): Promise<CommandOutcome | null> {
  const { sessionJobs, jobID, execution, sandbox } = context;
  const job = requireJob(sessionJobs, jobID);
  const { run } = job.task;
  if (!run) throw new Error(`${jobID} is no run`);
  if (execution.abort.signal.aborted || execution.phase.kind !== "between_turns") return null;
  const explain = watchLimits({ job, sandbox, environments: deps.environments });
  const window = createOutputWindow();
  const abort = new AbortController();
  const readers = deps.readOutput.flatMap((read) => read(sessionJobs, jobID) ?? []);
  const flush = () => {
    for (const reader of readers) reader.flush();
  };
  execution.phase = { kind: "in_command", abort, flush };
  const measuring = run.measures && new MeasuredValue(run.measures.metric, run.metrics);
  const signal = AbortSignal.any([execution.abort.signal, abort.signal]);
  let log: string | null = null;
  let end: CommandEnd = {
    status: { kind: "unknown", reason: "its command did not start" },
    stopped: null,
    killedAfterMs: null,
  };
  let notes: readonly string[] = [];
  let process: SandboxProcess | null = null;
  const shown = showLastLine(deps, { orchestrator: sessionJobs.orchestrator, jobID }, () => window.tail(1));
  const endCommand = deps.activity.beginCommand(jobID, oneLine(run.command, 200), (lines) => window.tail(lines));
  // Who cancels it does not wait for its end.
  const keepWords = () => {
    execution.words = renderRunResult(window.tail(LINES_FOR_RESULT), log);
  };
  signal.addEventListener("abort", keepWords);
  try {
    process = await startCommand(sandbox, run, jobID);
    log = process.logPath;
    end = await followCommand(process, {
      clock: deps.clock,
      timeoutMs: null,
      signal,
      onOutput(bytes) {
        window.push(bytes);
        measuring?.read(bytes);
        for (const reader of readers) reader.push(bytes);
        shown.changed();
      },
    });
  } catch (error) {
    if (error instanceof PluginError && error.code !== "sandbox_lost") throw error;
    end = {
      status: { kind: "unknown", reason: error instanceof Error ? error.message : String(error) },
      stopped: null,
      killedAfterMs: null,
    };
  } finally {
    endCommand();
    shown.stop();
    notes = readers.flatMap((reader) => reader.end(hasEndedByItself(end)));
  }
  const exitCode = exitCodeOf(end.status);
  if (exitCode === 0 && (await process?.leavesRunning().catch(() => false))) notes = [...notes, LEFT_RUNNING];
  const last = window.tail(LINES_FOR_RESULT);
  const output = renderRunResult(last, log);
  const result = end.killedAfterMs === null ? output : `${output}\n[${describeKill(end.killedAfterMs)}]`.trimStart();
  execution.words = result;
  if (mayBeLoss(end.status)) await Promise.race([sandbox.ended, sleep(deps.clock, LOSS_MS, signal)]);
  if (execution.abort.signal.aborted || phaseOf(execution).kind !== "in_command") {
    // One that begins again has its notes at its end.
    const isOver = isEnded(requireJob(sessionJobs, jobID).state) || phaseOf(execution).kind === "stopping";
    if (isOver && notes.length > 0) sessionJobs.update(jobID, (job) => withNotes(job, notes));
    return null;
  }
  execution.phase = { kind: "between_turns" };
  const { status } = end;
  if (exitCode === 0) {
    const measured = run.measures && measuring ? judge(run.measures, measuring.end(), last) : null;
    const unclear = measured?.numbers?.unclear ?? [];
    if (unclear.length > 0) notes = [...notes, unclearNote(unclear)];
    const error = findTraceback(window.tail(LINES_TO_SEARCH), Object.values(run.metrics));
    if (error !== null) notes = [...notes, tracebackNote(error, hidesFailures(run.command))];
    return { failure: measured?.failure ?? null, exitCode, result, measured: measured?.numbers, notes };
  }
  const message = describeCommandFailure(status, last, explain(status, end.stopped !== null).trim());
  const retryable = status.kind === "unknown" ? null : false;
  return { failure: { code: "command_failed", message, retryable }, exitCode, result, notes };
}

/** @throws PluginError with which the run fails, or `sandbox_lost` */
async function startCommand(sandbox: Sandbox, run: RunTask, jobID: string): Promise<SandboxProcess> {
  try {
    return await sandbox.start({
      argv: shellCommand(run.command, { input: false, wholeLines: run.measures !== null }),
      env: { ...variablesOf(run), [RUN_VARIABLE]: jobID },
      keepLog: true,
      noInput: true,
      oneStream: true,
    });
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    const message = `The command could not be started: ${cause.message}`;
    throw new PluginError("command_failed", message, { cause, retryable: false });
  }
}

/** Whoever ends a sandbox may signal its processes first. */
const DEATHS = new Set(
  ["SIGHUP", "SIGINT", "SIGKILL", "SIGTERM"].map((name) => 128 + (constants.signals[name as NodeJS.Signals] ?? 0)),
);

const mayBeLoss = (status: ExitStatus): boolean => status.kind === "unknown" || DEATHS.has(exitCodeOf(status) ?? 0);

/** Its last line is whole then. */
const hasEndedByItself = ({ status, stopped }: CommandEnd): boolean => stopped === null && !mayBeLoss(status);

/** A measurement that brought no number has failed, whatever its command says. */
function judge({ metric }: Measurement, measured: Measured, last: string) {
  if (measured.kind === "value") return { numbers: measured, failure: null };
  const message = describeNoMeasurement(metric, measured, last);
  return { numbers: undefined, failure: { code: "command_failed", message, retryable: false } satisfies Failure };
}

/** Others change it meanwhile, which the compiler does not see. */
const phaseOf = ({ phase }: Execution): Execution["phase"] => phase;

/** As shells tell it: death by signal n is 128 + n. */
function exitCodeOf(status: ExitStatus): number | null {
  if (status.kind === "exited") return status.code;
  if (status.kind === "unknown") return null;
  const number = constants.signals[status.signal as NodeJS.Signals];
  return number === undefined ? null : 128 + number;
}

const variablesOf = ({ params }: RunTask): Record<string, string> =>
  Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  );

/** Views show a run's newest line, but nobody reads a hundred a second. */
const SHOW_MS = 1_000;

function showLastLine(
  { activity, clock }: RunCommandDeps,
  run: { readonly orchestrator: string; readonly jobID: string },
  lastLine: () => string,
) {
  let cancel: (() => void) | null = null;
  return {
    changed() {
      cancel ??= clock.after(SHOW_MS, () => {
        cancel = null;
        activity.showLine(run, lastLine());
      });
    },
    stop() {
      cancel?.();
      activity.showLine(run, null);
    },
  };
}
