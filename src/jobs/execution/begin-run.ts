import type { Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import { decideRunStart } from "../../core/run-restart.ts";
import { RUN_VARIABLE } from "../../core/run-variable.ts";
import type { ExitStatus, Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import { oneLine } from "../../shared/plain-text.ts";
import { requireJob } from "../session/session-jobs.ts";
import { followCommand } from "./follow-command.ts";
import { withWentOn } from "./go-on.ts";
import type { CommandContext } from "./run-command.ts";

/**
 * Moves a run that has its sandbox to `running`, and records that its command begins, before it does. What a process that
 * has ended left of the command is ended first.
 * @param before the run as this execution found it
 * @param toRunning returns the job unchanged where it may not run any more
 * @returns why it does not begin again; null = it begins
 * @throws PluginError `restart_unrecoverable`
 */
export async function beginRun(
  deps: { readonly clock: Clock },
  { sessionJobs, jobID, execution, sandbox }: CommandContext,
  before: Job,
  toRunning: (job: Job) => Job,
): Promise<Failure | null> {
  const isInPlace = before.sandbox.kind === "live" && before.sandbox.id === sandbox.id;
  const isMeasurement = before.task.run?.measures != null;
  const hasItsFiles = isInPlace || isMeasurement;
  const start = decideRunStart(requireJob(sessionJobs, jobID), { attemptsBefore: before.attempts, hasItsFiles });
  if (start === "over") return LOST_TWICE;
  if (isInPlace && before.processes.length > 0) await endFormerTry(deps, sandbox, jobID, execution.abort.signal);
  if (execution.abort.signal.aborted) return null;
  sessionJobs.update(jobID, (job) => {
    const running = toRunning(job);
    if (running === job) return job;
    const counted = start === "again" ? { ...running, attempts: running.attempts + 1 } : running;
    const firstCommandAt = running.firstCommandAt ?? deps.clock.now();
    const begun = { ...withBegun(counted, sandbox.id), firstCommandAt };
    if (start === "first") return withWentOn(begun);
    if (isMeasurement) return withNotes(begun, [MEASURED_ANEW]);
    return isInPlace || !begun.loss ? withNotes(begun, [BEGUN_AGAIN]) : withWentOn(begun);
  });
  return null;
}

const LOST_TWICE: Failure = {
  code: "restart_unrecoverable",
  message:
    "OpenCode ended while its command ran, and it had begun again once before, which a run does by itself only once.",
  retryable: false,
};

const MEASURED_ANEW =
  "OpenCode ended while it measured, and the measurement began again from the start, in a fresh sandbox.";

const BEGUN_AGAIN =
  "OpenCode ended while its command ran, and the command began again from the start, with the files as they were then.";

/** The run with one more try of its command on record, which is written before the command starts. */
export function withBegun(job: Job, sandboxID: string): Job {
  const command = oneLine(job.task.run?.command ?? "", 200);
  const begun = { id: job.id, command, log: null, sandboxID, attempt: job.attempts };
  return { ...job, processes: [...job.processes, begun].slice(-20) };
}

/**
 * Kills what a process that ended has left running of a run. By a variable, because its processes may have left their
 * group. A few times over, because a process may start another before it is killed.
 */
const END_FORMER = `for round in 1 2 3 4 5; do
found=
for file in /proc/[0-9]*/environ; do
pid=\${file#/proc/}; pid=\${pid%/environ}
if tr '\\0' '\\n' <"$file" 2>/dev/null | grep -qx -e "$1" 2>/dev/null; then found=1; kill -s KILL "$pid" 2>/dev/null; fi
done
[ -n "$found" ] || exit 0
sleep 0.1 2>/dev/null || sleep 1
done
exit 1`;

const END_FORMER_MS = 20_000;

/**
 * Ends what is left of an earlier try in the same sandbox: sandboxes may outlive OpenCode, and commands in them.
 * @throws PluginError `restart_unrecoverable` if that cannot be done: both would write the same files
 */
async function endFormerTry(
  { clock }: { readonly clock: Clock },
  sandbox: Sandbox,
  jobID: string,
  signal: AbortSignal,
): Promise<void> {
  let status: ExitStatus;
  try {
    const process = await sandbox.start({
      argv: ["/bin/sh", "-c", END_FORMER, "sh", `${RUN_VARIABLE}=${jobID}`],
      workdir: "/",
    });
    ({ status } = await followCommand(process, { clock, timeoutMs: END_FORMER_MS, signal, onOutput: () => {} }));
  } catch (error) {
    status = { kind: "unknown", reason: error instanceof Error ? error.message : String(error) };
  }
  if (signal.aborted || (status.kind === "exited" && status.code === 0)) return;
  const why = status.kind === "unknown" ? status.reason : "its processes do not end";
  const message = `OpenCode ended while its command ran, and what is left of that in its sandbox could not be ended (${why}), so it is not begun again beside it. Start another run.`;
  throw new PluginError("restart_unrecoverable", message, { retryable: false });
}
