import { z } from "zod";
import { type EditOutcome, type EditRequest, editText } from "../core/text-edit.ts";
import { SANDBOX_EDIT } from "../prompt/tool-descriptions.ts";
import { meantPath } from "../sandboxes/meant-path.ts";
import { defineTool, type ToolDeps, toErrorAnswer } from "./define-tool.ts";
import { findWorker } from "./find-worker.ts";
import { pathArgument } from "./path-argument.ts";
import { describeBreaks, readWhole, toText, WRITTEN_BREAKS, writeText } from "./sandbox-files.ts";
import type { ToolAnswer } from "./tool.ts";

export const sandboxEditTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_edit",
    description: SANDBOX_EDIT,
    args: {
      path: pathArgument().describe("File; relative to the working directory, or absolute."),
      old_string: z
        .string()
        .min(1, "old_string is empty; sandbox_write makes a file")
        .describe("Text to replace, exactly."),
      new_string: z.string().describe("Text to put in its place."),
      replace_all: z.boolean().default(false).describe("Replace every occurrence."),
    },
    async run({ path: asked, old_string, new_string, replace_all }, call) {
      const { sandbox, jobID } = await findWorker(deps, call, "sandbox_edit", asked);
      const path = meantPath(asked, sandbox);
      const request = { oldText: old_string, newText: new_string, all: replace_all };
      // One at a time: models ask for several edits of a file at once, and each must see what the others have written.
      return deps.fileChanges.run(jobID, async () => {
        const file = toText(path, await readWhole(sandbox, path));
        if (file.text === "") return toErrorAnswer("file_failed", `${path} is empty; sandbox_write fills it.`, false);
        const outcome = editText(file.text, request);
        if (outcome.kind !== "edited") return refuse(path, outcome, request);
        await writeText(sandbox, path, file, outcome.text);
        return describe(path, outcome, file.encoding, describeBreaks("new_string", new_string));
      });
    },
  });

/** @param breaks what is to be said of the line breaks in the new text */
function describe(
  path: string,
  edited: Extract<EditOutcome, { kind: "edited" }>,
  encoding: string,
  breaks: readonly string[],
): ToolAnswer {
  const { lines, hasOtherSpaces } = edited;
  const times = lines.length === 1 ? "once" : `${lines.length} times`;
  const notes = [
    ...(hasOtherSpaces ? [" The file had other white space at the ends of these lines than old_string."] : []),
    ...(encoding === "Windows-1252" ? [` The file is not UTF-8; it was taken as ${encoding} and stays so.`] : []),
    ...breaks.map((note) => ` ${note}`),
  ];
  return {
    title: path,
    output: `Replaced ${times} in ${path} (${listLines(lines)}).${notes.join("")}`,
    metadata: { path, replaced: lines.length },
  };
}

function refuse(path: string, outcome: Exclude<EditOutcome, { kind: "edited" }>, request: EditRequest): ToolAnswer {
  const answer = (message: string, quoted: readonly string[] = []) =>
    toErrorAnswer("file_failed", message, false, quoted.join("\n"));
  switch (outcome.kind) {
    case "same":
      return answer(`old_string and new_string are the same, so ${path} was not changed.`);
    case "same_but_endings":
      return answer(
        `old_string and new_string differ in line endings alone, and sandbox_edit keeps those of the file. To change them in ${path}, use sandbox_exec (sed, dos2unix, unix2dos).`,
      );
    case "unchanged":
      return answer(`${path} has new_string already, in other white space than old_string; it was not changed.`);
    case "ambiguous":
      return answer(
        `${path} contains old_string ${outcome.lines.length} times, in ${listLines(outcome.lines)}; add lines around it until it is unique, or set replace_all.`,
      );
    case "missing": {
      const { similar, madeInLine, isEscaped } = outcome;
      const why = [
        `${path} does not contain old_string; read it again, white space counts.`,
        ...(madeInLine === null
          ? []
          : [`new_string is in line ${madeInLine}: if that is this edit, made before, nothing is left to do.`]),
        ...(isEscaped ? [`old_string has ${WRITTEN_BREAKS}, where the file has line breaks and tabs themselves.`] : []),
        ...(hasLineNumbers(request.oldText)
          ? ["old_string begins its lines with line numbers, which sandbox_read adds and the file does not have."]
          : []),
        ...(similar === null ? [] : [similar.differsInSpaces ? ONLY_SPACES : "The lines that resemble it most:"]),
      ];
      const quoted = similar?.lines.map((line, i) => `${similar.first + i}: ${line.slice(0, 300)}`);
      return answer(why.join(" "), quoted);
    }
  }
}

const ONLY_SPACES = "These lines differ from it in white space alone:";

const hasLineNumbers = (text: string): boolean => text.split("\n").every((line) => /^\s*\d+(?:\t|: |$)/.test(line));

function listLines(lines: readonly number[]): string {
  if (lines.length === 1) return `line ${lines[0]}`;
  const shown = [...new Set(lines)].slice(0, 10);
  if (shown.length === 1) return `line ${shown[0]}`;
  const more = new Set(lines).size - shown.length;
  if (more > 0) return `lines ${shown.join(", ")} and ${more} more`;
  return `lines ${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}
