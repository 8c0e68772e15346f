import type { Plugin } from "@opencode-ai/plugin";
import { tool } from "@opencode-ai/plugin";

/*
 * A plugin with one tool, which makes a child session per task, prompts it and does not wait for it: no record, no limits, no
 * sandbox. OpenCode loads it beside ours.
 */

const stubStart: Plugin = async ({ client }) => ({
  tool: {
    stub_start: tool({
      description: "Starts agents.",
      args: {
        tasks: tool.schema.array(tool.schema.object({ title: tool.schema.string(), prompt: tool.schema.string() })),
      },
      async execute({ tasks }, { sessionID }) {
        const start = async ({ title, prompt }: (typeof tasks)[number]) => {
          const { data } = await client.session.create({ body: { parentID: sessionID, title } });
          if (!data) throw new Error(`no session for ${title}`);
          await client.session.promptAsync({
            path: { id: data.id },
            body: { agent: "build", parts: [{ type: "text", text: prompt }] },
          });
        };
        void Promise.all(tasks.map(start));
        return `${tasks.length} started`;
      },
    }),
  },
});

export default stubStart;
