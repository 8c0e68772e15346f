import { repeatKey, toldOfRepeats } from "../core/repeats.ts";
import type { ToolDeps } from "./define-tool.ts";
import type { Tool } from "./tool.ts";

/** Tells a job's agent that goes round in a circle. */
export const tellingRepeats = (deps: Pick<ToolDeps, "runtime">, tool: Tool): Tool => ({
  ...tool,
  async run(args, call) {
    const answer = await tool.run(args, call);
    const runtime = await deps.runtime().catch(() => null); // the answer says why
    const repeats = runtime?.activity.of(call.sessionID).repeats ?? null;
    const told = toldOfRepeats(repeats, repeatKey(tool.name, args, answer.output));
    return told === "" ? answer : { ...answer, output: `${answer.output}${told}` };
  },
});
