import type { Tool, ToolAnswer, ToolCall } from "./tool.ts";

/** Tools that give a session jobs, or its jobs turns. */
const GIVING = new Set(["agents_start", "agents_message"]);
/** Tools that ask about a session's jobs. */
const ASKING = new Set(["agents_status", "agents_wait", "experiments_list"]);

/**
 * Models make several calls in one message, such as `agents_start` and `agents_wait`, and the host runs them all at once.
 * A call that asks about jobs means those of the calls made before it, so it goes on when these are done.
 */
export function inCallOrder(tools: readonly Tool[]): readonly Tool[] {
  /** Calls under way, by the message that makes them. */
  const underWay = new Map<string, Set<Promise<ToolAnswer>>>();

  function give(tool: Tool, raw: unknown, call: ToolCall): Promise<ToolAnswer> {
    const { messageID } = call;
    const calls = underWay.get(messageID) ?? new Set();
    underWay.set(messageID, calls);
    const running = tool.run(raw, call).finally(() => {
      calls.delete(running);
      if (calls.size === 0) underWay.delete(messageID);
    });
    calls.add(running);
    return running;
  }

  async function ask(tool: Tool, raw: unknown, call: ToolCall): Promise<ToolAnswer> {
    const earlier = underWay.get(call.messageID);
    if (earlier && !call.abort.aborted) {
      const { promise: aborted, resolve } = Promise.withResolvers<void>();
      call.abort.addEventListener("abort", () => resolve(), { once: true });
      await Promise.race([Promise.allSettled(earlier), aborted]);
    }
    return tool.run(raw, call);
  }

  return tools.map((tool): Tool => {
    if (GIVING.has(tool.name)) return { ...tool, run: (raw, call) => give(tool, raw, call) };
    return ASKING.has(tool.name) ? { ...tool, run: (raw, call) => ask(tool, raw, call) } : tool;
  });
}
