import { existsSync } from "node:fs";
import { z } from "zod";
import { defineTool } from "../../src/tools/define-tool.ts";
import type { Tool, ToolAnswer } from "../../src/tools/tool.ts";
import { until } from "../support/wait.ts";

/*
 * Tools for the contract of hosts. They only use what a `ToolCall` offers, so that any adapter can hand them to its
 * host. A call with `hold` goes on until that file exists, whatever happens to its turn.
 */

/** @param report what a test reads while a call is still open, or when its answer reaches nobody */
export function createProbeTools(report: (line: string) => void): readonly Tool[] {
  const hold = z.string().optional();
  return [
    defineTool({
      name: "sandbox_exec", // as `sandbox_read` below, a name that a job's session allows
      description: "Says who calls.",
      args: { hold },
      async run(args, call) {
        await held(args.hold);
        const { sessionID, messageID, callID, agent, directory } = call;
        return toAnswer({ sessionID, messageID, callID, agent, directory, model: (await call.model()).model });
      },
    }),
    defineTool({ name: "sandbox_read", description: "Does nothing.", args: {}, run: async () => toAnswer(null) }),
    defineTool({
      name: "probe_progress",
      description: "Shows a text while it runs.",
      args: { text: z.string(), hold },
      async run(args, call) {
        const progress = call.progress();
        progress.show(() => ({ title: "probing", text: `Progress: ${args.text}`, metadata: {} }));
        report(`call ${call.sessionID} ${call.messageID} ${call.callID}`);
        await held(args.hold).finally(() => progress.stop());
        return toAnswer("over");
      },
    }),
    defineTool({
      name: "probe_ask",
      description: "Asks for a permission.",
      args: { permission: z.string(), pattern: z.string() },
      async run({ permission, pattern }, call) {
        const answer = await call.ask({ permission, patterns: [pattern], metadata: {} });
        report(`${pattern} ${answer}`);
        return toAnswer(answer);
      },
    }),
  ];
}

const toAnswer = (value: unknown): ToolAnswer => ({ title: "probe", output: JSON.stringify(value), metadata: {} });

async function held(file: string | undefined): Promise<void> {
  if (file !== undefined) await until(() => existsSync(file), { what: `${file} exists`, everyMs: 20 });
}
