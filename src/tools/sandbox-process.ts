import { z } from "zod";
import { SANDBOX_PROCESS } from "../prompt/tool-descriptions.ts";
import { type ExitStatus, SANDBOX_SIGNALS } from "../sandboxes/port.ts";
import { sleep } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { type FoundWorker, findWorker } from "./find-worker.ts";

/** Waits this long for a reaction to input or a signal. */
const REACTION_MS = 300;

export const sandboxProcessTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_process",
    description: SANDBOX_PROCESS,
    args: {
      process: z.string().describe("Process id, as sandbox_exec returned it."),
      input: z.string().optional().describe('Text for its standard input; end each line with "\\n".'),
      signal: z.enum(SANDBOX_SIGNALS).optional().describe("Signal for its process group."),
      wait_seconds: z.number().min(0).max(3600).default(0).describe("Longest wait for its end, in seconds."),
    },
    isVerbatim: true,
    async run({ process: id, input, signal, wait_seconds }, call) {
      const worker = await findWorker(deps, call, "sandbox_process");
      const { runtime, jobID } = worker;
      const process = deps.processes.get(jobID, id);
      if (!process) {
        const known = deps.processes.list(jobID).map((one) => `${one.id} (${one.command.slice(0, 60)})`);
        const has = known.length > 0 ? `It has ${known.join(", ")}.` : "It has none.";
        const message = `This job has no background process ${id}.${describeFormer(worker, id)} ${has}`;
        throw new PluginError("not_found", message, { retryable: false });
      }
      if (input !== undefined) await process.write(input);
      if (signal !== undefined) await process.signal(signal);
      const acted = input !== undefined || signal !== undefined;
      const deadline = runtime.clock.now() + Math.max(wait_seconds * 1000, acted ? REACTION_MS : 0);
      const waiting = new AbortController();
      const stop = () => waiting.abort();
      call.abort.addEventListener("abort", stop);
      while (!process.exitStatus() && runtime.clock.now() < deadline && !call.abort.aborted) {
        await Promise.race([process.next(), sleep(runtime.clock, deadline - runtime.clock.now(), waiting.signal)]);
      }
      waiting.abort();
      call.abort.removeEventListener("abort", stop);

      const { text, cut } = process.takeOutput();
      const status = process.exitStatus();
      const exitCode = status?.kind === "exited" ? status.code : null;
      const state = status === null ? "running" : describeEnd(status, process.logPath);
      const body = text.trimEnd();
      return {
        title: `${id}: ${state}`,
        output: `${body === "" ? "(no new output)" : body}\n[${state}]${process.explainEnd()}`,
        metadata: { running: status === null, exitCode, cut, log: process.logPath },
      };
    },
  });

function describeEnd(status: ExitStatus, log: string | null): string {
  if (status.kind === "exited") return `exit code ${status.code}`;
  if (status.kind === "signalled") return `signalled by ${status.signal}`;
  return `exit code unknown: ${status.reason}${log === null ? "" : `; its output until then was logged in ${log}`}`;
}

/** What is known of a process that this OpenCode does not follow: it was started before a restart. */
function describeFormer({ sessionJobs, jobID, sandbox }: FoundWorker, id: string): string {
  const former = sessionJobs.get(jobID)?.processes.findLast((one) => one.id === id);
  if (!former) return "";
  const why =
    former.sandboxID === sandbox.id
      ? "OpenCode has been restarted since, so it is followed no more; look for it with ps"
      : "it ended with the sandbox it ran in, which was parked after the job's turn or lost";
  const log = former.log === null ? "" : ` Its output until then was logged in ${former.log}.`;
  return ` It had one (${oneLine(former.command, 60)}): ${why}.${log}`;
}
