import { createOutputWindow, type OutputWindow } from "../core/output-window.ts";
import { type CommandEnd, followCommand } from "../jobs/execution/follow-command.ts";
import type { ExplainEnd } from "../jobs/execution/limits-reached.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { toCodeBlock } from "../prompt/quoted-text.ts";
import { describeKill } from "../prompt/run-end.ts";
import type { ExitStatus, SandboxProcess } from "../sandboxes/port.ts";
import { oneLine } from "../shared/plain-text.ts";
import type { Progress, ToolAnswer } from "./tool.ts";

export interface FollowedCommand {
  readonly runtime: Pick<Runtime, "activity" | "clock">;
  readonly jobID: string;
  readonly command: string;
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly explain: ExplainEnd;
  /** Path of the complete log for a command whose output is cut; absent = that of its process. */
  readonly keepLog?: (process: SandboxProcess) => Promise<string | null>;
  /** Whether its sandbox was lost, which stops the turn: a host waits for a stopped tool's answer for a quarter of a second. */
  readonly isLost?: () => boolean;
  /** Called when the command has ended, before it is described. */
  readonly afterEnd?: () => Promise<void>;
}

/** Follows a command in the foreground to its end, shown while it runs. */
export async function followShown(process: SandboxProcess, how: FollowedCommand): Promise<ToolAnswer> {
  const { runtime, jobID, command, timeoutSeconds, signal, progress, explain, keepLog, isLost, afterEnd } = how;
  const output = createOutputWindow();
  const endCommand = runtime.activity.beginCommand(jobID, oneLine(command, 200), (lines) => output.tail(lines));
  try {
    const end = await followCommand(process, {
      clock: runtime.clock,
      timeoutMs: timeoutSeconds * 1000,
      signal,
      ...(isLost && { isLost }),
      onOutput: (bytes) => {
        output.push(bytes);
        showOutput(progress, command, output);
      },
    });
    await afterEnd?.();
    const log = keepLog && output.render(null).cut ? await keepLog(process) : process.logPath;
    const answer = render(command, end, output, log, timeoutSeconds);
    return { ...answer, output: answer.output + explain(end.status, end.stopped !== null) };
  } finally {
    endCommand();
  }
}

export function showOutput(progress: Progress, command: string, output: Pick<OutputWindow, "tail">): void {
  progress.show(() => {
    const tail = output.tail(12);
    return { title: command, text: tail === "" ? "" : toCodeBlock(tail), metadata: { output: tail } };
  });
}

function render(
  command: string,
  { status, stopped, killedAfterMs }: CommandEnd,
  window: OutputWindow,
  log: string | null,
  timeoutSeconds: number,
): ToolAnswer {
  const { text, cut } = window.render(log);
  const exitCode = status.kind === "exited" && !stopped ? status.code : null;
  const metadata = { exitCode, timedOut: stopped === "timeout", cut, log, bytes: window.totalBytes };
  const killed = killedAfterMs === null ? "" : `; ${describeKill(killedAfterMs)}`;
  const end = describeEnd(status, stopped, timeoutSeconds, killed);
  const body = text.trimEnd();
  return { title: command, output: body === "" ? end : `${body}\n${end}`, metadata };
}

function describeEnd(
  status: ExitStatus,
  stopped: CommandEnd["stopped"],
  timeoutSeconds: number,
  killed: string,
): string {
  if (status.kind === "unknown") {
    const late = stopped === "timeout" ? `its time limit of ${timeoutSeconds} s is over; ` : "";
    return `[${late}exit status unknown: ${status.reason}]`;
  }
  if (stopped === "timeout") {
    return `[stopped after ${timeoutSeconds} s, its time limit${killed}; give a longer timeout_seconds, or run it in the background]`;
  }
  // A turn is stopped when its sandbox is lost, which says more.
  if (stopped === "abort") return `[stopped: the turn was interrupted${killed}]`;
  return status.kind === "exited" ? `[exit code ${status.code}]` : `[killed by ${status.signal}]`;
}
