import type { ToolContext } from "@opencode-ai/plugin";
import { createTools } from "../../../src/tools/all-tools.ts";
import type { ProgressView, ToolAnswer } from "../../../src/tools/define-tool.ts";
import { createProcessTable } from "../../../src/tools/process-table.ts";
import { CATALOG, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";

interface Question {
  readonly permission: string;
  readonly patterns: readonly string[];
  readonly always: readonly string[];
  readonly metadata: Record<string, unknown>;
}

/** Every tool over the lab of a world, called as a model calls them. */
export function openTools(world: World) {
  const shown: ProgressView[] = [];
  const asked: Question[] = [];
  let open = 0;
  const tools = createTools({
    runtime: async () => world.runtime,
    catalog: async () => CATALOG,
    modelOf: async () => "acme/large",
    forbiddenTo: async () => [],
    processes: createProcessTable(),
    jobsStarting: () => {},
    instructions: () => [],
    progress() {
      open++;
      return {
        show: (view) => shown.push(view),
        stop: async () => {
          open--;
        },
      };
    },
  });
  return {
    tools,
    shown,
    /** What the host was asked. */
    asked,
    /** Pictures not taken away. */
    openPictures: () => open,
    async call(name: string, args: unknown, sessionID = ORCHESTRATOR, abort = new AbortController().signal) {
      const tool = tools[name];
      if (!tool) throw new Error(`no tool ${name}`);
      const context = {
        sessionID,
        messageID: "msg_1",
        agent: "build",
        abort,
        ask: async (question: Question) => void asked.push(question),
      } as unknown as ToolContext;
      return (await tool.execute(args as never, context)) as unknown as ToolAnswer;
    },
  };
}

/** The session of a job that runs until it is stopped. */
export async function openSeat(world: World): Promise<{ readonly jobID: string; readonly sessionID: string }> {
  const [jobID = ""] = await world.start("hang");
  const { childSession } = await world.reaches(jobID, "running");
  return { jobID, sessionID: childSession ?? "" };
}

export const errorOf = ({ metadata }: ToolAnswer) =>
  metadata.error as { code: string; message: string; retryable: boolean | null } | undefined;
