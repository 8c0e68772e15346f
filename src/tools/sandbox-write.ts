import { z } from "zod";
import { decodeText, type TextFile } from "../core/text-encoding.ts";
import { SANDBOX_WRITE } from "../prompt/tool-descriptions.ts";
import { meantPath } from "../sandboxes/meant-path.ts";
import { FileError, type Sandbox } from "../sandboxes/port.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { findWorker } from "./find-worker.ts";
import { pathArgument } from "./path-argument.ts";
import { refuseOld } from "./read-first.ts";
import { describeBreaks } from "./sandbox-files.ts";

export const sandboxWriteTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_write",
    description: SANDBOX_WRITE,
    args: {
      path: pathArgument().describe("File; relative to the working directory, or absolute."),
      content: z.string().describe("The whole text of the file."),
    },
    async run({ path: asked, content }, call) {
      const worker = await findWorker(deps, call, "sandbox_write", asked);
      const { sandbox, jobID } = worker;
      const path = meantPath(asked, sandbox);
      refuseOld(worker, call, path);
      return deps.fileChanges.run(jobID, async () => {
        const before = await readBeginning(sandbox, path);
        await sandbox.writeFile(path, new TextEncoder().encode(content));
        const bytes = Buffer.byteLength(content);
        const changes = before === null ? [] : describeChanges(before, content);
        return {
          title: path,
          output: [`Wrote ${bytes} bytes to ${path}.`, ...changes, ...describeBreaks("content", content)].join(" "),
          metadata: { path, bytes },
        };
      });
    },
  });

/** Enough to tell a file's encoding and line endings. */
const BEGINNING_BYTES = 64 * 1024;

/** @returns null when there is no text; a path that cannot be written to is refused by the write */
async function readBeginning(sandbox: Sandbox, path: string): Promise<TextFile | null> {
  try {
    const bytes = await sandbox.readFile(path, { offset: 0, maxBytes: BEGINNING_BYTES });
    return bytes.length === 0 ? null : decodeText(bytes);
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

/** What the new text, written as it was given, changes about the file besides its words. */
function describeChanges(before: TextFile, content: string): string[] {
  const [was, is] = [endingsOf(before.text), endingsOf(content)];
  const mark = before.encoding === "UTF-8" && before.hasMark && !content.startsWith("\uFEFF");
  return [
    ...(was !== null && is !== null && was !== is
      ? [`Its lines ended with ${was} before and now end with ${is}.`]
      : []),
    ...(before.encoding === "UTF-8" ? [] : [`It was ${before.encoding} before and is UTF-8 now.`]),
    ...(mark ? ["It began with a byte order mark before, and does not now."] : []),
  ];
}

function endingsOf(text: string): string | null {
  const crlf = text.includes("\r\n");
  const lf = /(?<!\r)\n/.test(text);
  return crlf && lf ? "both CRLF and LF" : crlf ? "CRLF" : lf ? "LF" : null;
}
