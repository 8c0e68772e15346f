import { z } from "zod";
import { createOutputWindow } from "../core/output-window.ts";
import { isNoGpu } from "../core/task.ts";
import { recordFirstCommand } from "../jobs/execution/first-steps.ts";
import { watchLimits } from "../jobs/execution/limits-reached.ts";
import { ownGpu } from "../prompt/burst.ts";
import { SANDBOX_EXEC } from "../prompt/tool-descriptions.ts";
import { meantPath } from "../sandboxes/meant-path.ts";
import { shellCommand } from "../sandboxes/shell-command.ts";
import { sleep } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { execOnGpu, ownGpuFor, readGpus } from "./exec-on-gpu.ts";
import { followShown, showOutput } from "./exec-output.ts";
import { findWorker, LOSS_MS } from "./find-worker.ts";
import { pathArgument } from "./path-argument.ts";

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
  gpu: z
    .string()
    .optional()
    .describe(
      'GPUs for this command alone, as "T4", "H100:8" or, in order of preference, "H100|A100"; foreground only.',
    ),
};

export const sandboxExecTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_exec",
    description: SANDBOX_EXEC,
    args: ARGS,
    parse: z.strictObject({ ...ARGS, timeout_seconds: ARGS.timeout_seconds.removeDefault().optional() }),
    isVerbatim: true,
    async run({ command, workdir: asked, timeout_seconds: limit, background, tty, gpu }, call) {
      const worker = await findWorker(deps, call, "sandbox_exec");
      const { runtime, jobID, sandbox } = worker;
      const workdir = asked === undefined ? undefined : meantPath(asked, sandbox);
      const timeoutSeconds = limit ?? DEFAULT_SECONDS;
      const gpus = gpu === undefined || isNoGpu(gpu) ? [] : await readGpus(worker, gpu);
      const own = gpus.length > 0 ? ownGpuFor(worker.sessionJobs.get(jobID), gpus) : null;
      if (gpus.length > 0 && own === null) {
        if (background || tty) throw new PluginError("invalid_task", NOT_IN_BACKGROUND, { retryable: false });
        recordFirstCommand(worker, runtime.clock.now());
        return execOnGpu(deps, worker, call, { command, workdir, timeoutSeconds, gpus });
      }
      const explain = watchLimits({
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
        noInput: !background && !tty,
        oneStream: true,
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
      const isLost = () => runtime.lifecycle.live(jobID) !== sandbox;
      const progress = call.progress();
      if (worker.hasWaited) showOutput(progress, command, createOutputWindow());
      try {
        const answer = await followShown(process, {
          runtime,
          jobID,
          command,
          timeoutSeconds,
          signal: call.abort,
          progress,
          explain,
          isLost,
          async afterEnd() {
            if (isLost()) await sleep(runtime.clock, LOSS_MS, call.abort);
          },
        });
        return own === null ? answer : { ...answer, output: `${answer.output}\n${ownGpu(own)}` };
      } finally {
        await progress.stop();
      }
    },
  });

const NOT_IN_BACKGROUND =
  "A command with gpu runs in the foreground, without a terminal, because its GPU is given up when it ends. Leave background and tty out, and give it timeout_seconds: your output streams while it runs.";
