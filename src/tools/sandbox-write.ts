import { z } from "zod";
import { SANDBOX_WRITE } from "../prompt/tool-descriptions.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { findWorker } from "./find-worker.ts";
import { writeText } from "./sandbox-files.ts";

export const sandboxWriteTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_write",
    description: SANDBOX_WRITE,
    args: {
      path: z.string().min(1).describe("File; relative to the working directory, or absolute."),
      content: z.string().describe("The whole text of the file."),
    },
    async run({ path, content }, { sessionID }) {
      const { sandbox } = await findWorker(deps, sessionID, "sandbox_write");
      await writeText(sandbox, path, content);
      const bytes = Buffer.byteLength(content);
      return { title: path, output: `Wrote ${bytes} bytes to ${path}.`, metadata: { path, bytes } };
    },
  });
