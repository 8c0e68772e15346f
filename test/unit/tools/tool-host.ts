import type { Job } from "../../../src/core/job.ts";
import { createSerialQueues } from "../../../src/shared/serial-queues.ts";
import { createTools } from "../../../src/tools/all-tools.ts";
import { createProcessTable } from "../../../src/tools/process-table.ts";
import type { AskAnswer, Progress, ProgressView, Question, ToolAnswer, ToolCall } from "../../../src/tools/tool.ts";
import { CATALOG, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";

/** Every tool over the runtime of a world, called as a host calls them. */
export function openTools(world: World) {
  const shown: ProgressView[] = [];
  const asked: Question[] = [];
  let open = 0;
  const sight: { sees: boolean | null } = { sees: true };
  const tools = createTools({
    runtime: async () => world.runtime,
    catalog: async () => CATALOG,
    processes: createProcessTable(),
    fileChanges: createSerialQueues(),
    instructions: () => [],
    instructionFiles: async () => ({ files: [], left: [] }),
    onJobsStarting: () => {},
  });
  /** One for each call, as a host has it. */
  function createProgress(): Progress {
    let isShown = false;
    const show = (view: () => ProgressView) => {
      if (!isShown) open++;
      isShown = true;
      shown.push(view());
    };
    return {
      show,
      showNow: async (view) => show(view),
      async stop() {
        if (isShown) open--;
        isShown = false;
      },
    };
  }
  const callIn = (
    sessionID: string,
    abort: AbortSignal,
    ask: () => Promise<AskAnswer>,
    progress = createProgress(),
  ): ToolCall => ({
    sessionID,
    messageID: "msg_1",
    callID: "call_1",
    agent: "build",
    directory: "/nonexistent",
    abort,
    model: async () => ({ model: "acme/large", variant: null }),
    imagesFrom: async () => null,
    forkedFrom: async () => null,
    job: async () => null,
    forbiddenToJobs: async () => [],
    sees: () => sight.sees,
    progress: () => progress,
    ask(question) {
      asked.push(question);
      return ask();
    },
  });
  function toolNamed(name: string) {
    const tool = tools.find((one) => one.name === name);
    if (!tool) throw new Error(`no tool ${name}`);
    return tool;
  }
  return {
    tools,
    shown,
    /** Whether the model takes images and PDF documents. */
    sight,
    /** What the user was asked. */
    asked,
    /** Progress views not removed yet. */
    openProgress: () => open,
    call(
      name: string,
      args: unknown,
      sessionID = ORCHESTRATOR,
      abort = new AbortController().signal,
      ask = async (): Promise<AskAnswer> => "allowed",
    ): Promise<ToolAnswer> {
      return toolNamed(name).run(args, callIn(sessionID, abort, ask));
    },
    /** A call that the agent of a job makes in its own session. */
    callInJob(name: string, args: unknown, { id, childSession }: Job): Promise<ToolAnswer> {
      const call = callIn(childSession ?? "", new AbortController().signal, async () => "allowed");
      const job = async () => ({ job: id, orchestrator: ORCHESTRATOR });
      return toolNamed(name).run(args, { ...call, callID: `call_of_${id}`, job });
    },
  };
}

/** The session of a job that runs until it is stopped. */
export async function openWorker(world: World): Promise<{ readonly jobID: string; readonly sessionID: string }> {
  const [jobID = ""] = await world.start("hang");
  const { childSession } = await world.reaches(jobID, "running");
  return { jobID, sessionID: childSession ?? "" };
}

export const errorOf = ({ metadata }: ToolAnswer) =>
  metadata.error as { code: string; message: string; retryable: boolean | null } | undefined;
