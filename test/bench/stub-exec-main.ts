import type { Plugin } from "@opencode-ai/plugin";
import { tool } from "@opencode-ai/plugin";
import { ModalClient, type Sandbox } from "modal";

/*
 * A plugin with one tool, which runs a command in a Modal sandbox with the SDK and nothing else: no limits, no views, no
 * record. OpenCode loads it beside ours.
 */

const stubExec: Plugin = async () => {
  let made: Promise<Sandbox> | null = null;
  const make = async () => {
    const modal = new ModalClient();
    const app = await modal.apps.fromName("stub", { createIfMissing: true });
    const image = modal.images.fromRegistry("python:3.12-bookworm");
    return await modal.sandboxes.create(app, image, { timeoutMs: 3_600_000, command: ["sleep", "3600"] });
  };
  return {
    tool: {
      stub_exec: tool({
        description: "Runs a command.",
        args: { command: tool.schema.string() },
        async execute({ command }) {
          made ??= make();
          const child = await (await made).exec(["bash", "-c", `exec 2>&1; ${command}`]);
          const [text, code] = await Promise.all([child.stdout.readText(), child.wait()]);
          return `${text}[exit code ${code}]`;
        },
      }),
    },
  };
};

export default stubExec;
