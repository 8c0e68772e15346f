import type { ToolDefinition } from "@opencode-ai/plugin";

/**
 * Lets no tool return once its instance is being disposed. The host has given up the turn by then; a tool that still
 * answers makes it go on with that turn, and so starts the next instance half, without what our config hook adds.
 * @source OpenCode 1.18.33, verified against the binary
 */
export function holdAnswersAfterDispose(
  tools: Record<string, ToolDefinition>,
  isDisposed: () => boolean,
): Record<string, ToolDefinition> {
  const silenced = ([name, tool]: [string, ToolDefinition]): [string, ToolDefinition] => [
    name,
    {
      ...tool,
      async execute(args, context) {
        try {
          return await tool.execute(args, context);
        } finally {
          if (isDisposed()) await new Promise<never>(() => {});
        }
      },
    },
  ];
  return Object.fromEntries(Object.entries(tools).map(silenced));
}
