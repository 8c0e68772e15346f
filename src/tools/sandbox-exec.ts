import { z } from "zod";
import { createOutputWindow, type OutputWindow } from "../core/output-window.ts";
import { isNoGpu } from "../core/task.ts";
import { recordFirstCommand } from "../jobs/execution/first-steps.ts";
import { type CommandEnd, followCommand, shellCommand } from "../jobs/execution/follow-command.ts";
import { watchMemory } from "../jobs/execution/memory-kill.ts";
import { toCodeBlock } from "../prompt/quoted-text.ts";
import { SANDBOX_EXEC } from "../prompt/tool-descriptions.ts";
import type { ExitStatus } from "../sandboxes/port.ts";
import { sleep } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { findWorker, LOSS_MS } from "./find-worker.ts";
import { pathArgument } from "./path-argument.ts";
import type { Progress, ToolAnswer } from "./tool.ts";

const MAX_SECONDS = 86_400;
const DEFAULT_SECONDS = 120;

const ARGS = {
  command: z
    .string()
    .trim()
    .min(1, "the command is empty")
    .max(200_000, "write long scripts to a file")
    .refine((command) => !command.includes("\0"), "a command cannot contain a NUL character; printf '\\0' prints one")
    .describe("Shell command."),
  workdir: pathArgument().optional().describe("Where it runs; relative to the working directory, or absolute."),
  timeout_seconds: z
    .number()
    .positive()
    .max(MAX_SECONDS)
    .default(DEFAULT_SECONDS)
    .describe("Time limit of a foreground command in seconds (default 120)."),
  background: z.boolean().default(false).describe("Leave it running and return a process id."),
  tty: z.boolean().default(false).describe("Give it a terminal; also returns a process id."),
  gpu: z.string().optional().describe("Not available yet: GPUs are given to whole jobs."),
};

export const sandboxExecTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_exec",
    description: SANDBOX_EXEC,
    args: ARGS,
    parse: z.strictObject({ ...ARGS, timeout_seconds: ARGS.timeout_seconds.removeDefault().optional() }),
    isVerbatim: true,
    async run({ command, workdir, timeout_seconds: limit, background, tty, gpu }, call) {
      const worker = await findWorker(deps, call, "sandbox_exec");
      const { runtime, jobID, sandbox } = worker;
      if (gpu !== undefined && !isNoGpu(gpu)) {
        const message =
          "A single command cannot be given GPUs yet; run it without gpu. A task that needs them is started with its own gpu.";
        throw new PluginError("invalid_task", message, { retryable: false });
      }
      const explain = watchMemory({
        job: worker.sessionJobs.get(jobID),
        sandbox,
        environments: runtime.options.environments,
      });
      recordFirstCommand(worker, runtime.clock.now());
      const process = await sandbox.start({
        argv: shellCommand(command, { input: background || tty }),
        ...(workdir !== undefined && { workdir }),
        tty,
        keepLog: true,
      });
      if (background || tty) {
        const { id, logPath } = deps.processes.add(jobID, command, process, explain);
        const started = { id, command: oneLine(command, 200), log: logPath, sandboxID: sandbox.id };
        worker.sessionJobs.update(jobID, (job) => ({ ...job, processes: [...job.processes, started].slice(-20) }));
        const unlimited =
          limit === undefined
            ? ""
            : ` timeout_seconds (${limit}) does not apply to it: it runs until it ends, or sandbox_process sends it a signal.`;
        return {
          title: `${id}: ${command}`,
          output: `Process ${id} runs in the background; follow it with sandbox_process.${logPath ? ` Its output is kept in ${logPath}.` : ""}${unlimited}`,
          metadata: { process: id, log: logPath },
        };
      }
      const timeoutSeconds = limit ?? DEFAULT_SECONDS;
      const output = createOutputWindow();
      const progress = call.progress();
      if (worker.hasWaited) show(progress, command, output);
      const endCommand = runtime.activity.beginCommand(jobID, oneLine(command, 200), (lines) => output.tail(lines));
      try {
        const end = await followCommand(process, {
          clock: runtime.clock,
          timeoutMs: timeoutSeconds * 1000,
          signal: call.abort,
          onOutput: (bytes) => {
            output.push(bytes);
            show(progress, command, output);
          },
        });
        if (runtime.lifecycle.live(jobID) !== sandbox) await sleep(runtime.clock, LOSS_MS, call.abort);
        const answer = render(command, end, output, process.logPath, timeoutSeconds);
        return { ...answer, output: answer.output + explain(end.status, end.stopped !== null) };
      } finally {
        endCommand();
        await progress.stop();
      }
    },
  });

function show(progress: Progress, command: string, output: OutputWindow): void {
  progress.show(() => {
    const tail = output.tail(12);
    return { title: command, text: tail === "" ? "" : toCodeBlock(tail), metadata: { output: tail } };
  });
}

function render(
  command: string,
  { status, stopped }: CommandEnd,
  window: OutputWindow,
  log: string | null,
  timeoutSeconds: number,
): ToolAnswer {
  const { text, cut } = window.render(log);
  const exitCode = status.kind === "exited" && !stopped ? status.code : null;
  const metadata = { exitCode, timedOut: stopped === "timeout", cut, log, bytes: window.totalBytes };
  const end = describeEnd(status, stopped, timeoutSeconds);
  const body = text.trimEnd();
  return { title: command, output: body === "" ? end : `${body}\n${end}`, metadata };
}

function describeEnd(status: ExitStatus, stopped: CommandEnd["stopped"], timeoutSeconds: number): string {
  if (stopped === "timeout") {
    return `[stopped after ${timeoutSeconds} s, its time limit; give a longer timeout_seconds, or run it in the background]`;
  }
  if (stopped === "abort") return "[stopped: the turn was interrupted]";
  if (status.kind === "exited") return `[exit code ${status.code}]`;
  if (status.kind === "signalled") return `[killed by ${status.signal}]`;
  return `[exit status unknown: ${status.reason}]`;
}
