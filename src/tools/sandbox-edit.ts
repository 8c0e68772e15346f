import { z } from "zod";
import { SANDBOX_EDIT } from "../prompt/tool-descriptions.ts";
import { FileError } from "../sandboxes/port.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { findWorker } from "./find-worker.ts";
import { readText, writeText } from "./sandbox-files.ts";

export const sandboxEditTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_edit",
    description: SANDBOX_EDIT,
    args: {
      path: z.string().min(1).describe("File; relative to the working directory, or absolute."),
      old_string: z
        .string()
        .min(1, "old_string is empty; sandbox_write makes a file")
        .describe("Text to replace, exactly."),
      new_string: z.string().describe("Text to put in its place."),
      replace_all: z.boolean().default(false).describe("Replace every occurrence."),
    },
    async run({ path, old_string, new_string, replace_all }, { sessionID }) {
      const { sandbox } = await findWorker(deps, sessionID, "sandbox_edit");
      const before = await readText(sandbox, path);
      const pieces = before.split(old_string);
      const found = pieces.length - 1;
      if (found === 0) {
        throw new FileError("file_failed", `${path} does not contain old_string; read it again, white space counts.`);
      }
      if (found > 1 && !replace_all) {
        const hint = "add lines around it until it is unique, or set replace_all";
        throw new FileError("file_failed", `${path} contains old_string ${found} times; ${hint}.`);
      }
      await writeText(sandbox, path, pieces.join(new_string));
      const times = found === 1 ? "once" : `${found} times`;
      return { title: path, output: `Replaced ${times} in ${path}.`, metadata: { path, replaced: found } };
    },
  });
