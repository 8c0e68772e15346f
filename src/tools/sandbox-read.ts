import { z } from "zod";
import { fileKindOf } from "../core/file-kind.ts";
import { createOutputWindow } from "../core/output-window.ts";
import { decodeText, shownText, type TextFile } from "../core/text-encoding.ts";
import { SANDBOX_READ } from "../prompt/tool-descriptions.ts";
import { FileError, type Sandbox } from "../sandboxes/port.ts";
import type { Clock } from "../shared/clock.ts";
import { showInvisible } from "../shared/plain-text.ts";
import { followScript } from "../workspace/sandbox/run-script.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { mediaAnswer } from "./media-answer.ts";
import { pathArgument } from "./path-argument.ts";
import { readFirst, type Shown } from "./read-first.ts";
import { readWhole, toText } from "./sandbox-files.ts";
import type { ToolAnswer } from "./tool.ts";

const LINE_LIMIT = 2_000;
const ANSWER_BYTES = 40_000;

export const sandboxReadTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_read",
    description: SANDBOX_READ,
    args: {
      path: pathArgument().describe("File or directory; relative to the working directory, or absolute."),
      offset: z.number().int().min(1).default(1).describe("First line, from 1."),
      limit: z.number().int().min(1).max(1_500).default(1_000).describe("Most lines to return."),
    },
    isVerbatim: true,
    run: ({ path: asked, offset, limit }, call) =>
      readFirst(deps, call, { tool: "sandbox_read", path: asked }, async (sandbox, path) => {
        try {
          const bytes = await readWhole(sandbox, path);
          const kind = fileKindOf(bytes);
          if (kind?.image || kind?.isPdf) return { answer: await mediaAnswer(path, bytes, kind, call), part: null };
          return renderLines(path, toText(path, bytes), offset, limit);
        } catch (error) {
          if (error instanceof FileError && error.code === "is_directory")
            return { answer: await listDirectory(sandbox, path, (await deps.runtime()).clock), part: null };
          throw error;
        }
      }),
  });

function renderLines(path: string, file: TextFile, offset: number, limit: number): Shown {
  const text = shownText(file);
  const isCrAlone = text.includes("\r") && !text.includes("\n");
  const ending = isCrAlone ? "\r" : "\n";
  const body = text.endsWith(ending) ? text.slice(0, -1) : text;
  const lines = text === "" ? [] : body.split(ending);
  const shown: string[] = [];
  let bytes = 0;
  for (const line of lines.slice(offset - 1, offset - 1 + limit)) {
    const content = line.endsWith("\r") ? line.slice(0, -1) : line;
    const cut = showControls(content.length > LINE_LIMIT ? `${content.slice(0, LINE_LIMIT)} […]` : content);
    const numbered = `${offset + shown.length}\t${cut}`;
    bytes += Buffer.byteLength(numbered) + 1;
    if (bytes > ANSWER_BYTES && shown.length > 0) break;
    shown.push(numbered);
  }
  const next = offset + shown.length;
  const more = next <= lines.length ? `\n[${toLines(lines.length - next + 1)} more; go on with offset ${next}]` : "";
  const empty = lines.length === 0 ? "(empty file)" : `(the file has ${toLines(lines.length)})`;
  const answer = {
    title: path,
    output: `${shown.length > 0 ? `${shown.join("\n")}${more}` : empty}${describeFormat(file)}`,
    metadata: { path, lines: lines.length, offset, cut: more !== "" },
  };
  return { answer, part: { from: offset, to: next - 1, isEnd: more === "" } };
}

/** What the lines do not show and a program that writes the file must keep; nothing for UTF-8 with LF. */
function describeFormat({ text, encoding, hasMark, invalidBytes }: TextFile): string {
  const crlf = text.includes("\r\n");
  const facts = [
    ...(encoding === "UTF-8" ? [] : [encoding === "Windows-1252" ? "not UTF-8, shown as Windows-1252" : encoding]),
    ...(invalidBytes === 0 ? [] : [`${invalidBytes} bytes are not UTF-8 and shown as \uFFFD`]),
    ...(hasMark && encoding === "UTF-8" ? ["begins with a byte order mark"] : []),
    ...(crlf ? [/(?<!\r)\n/.test(text) ? "lines end with CRLF or LF" : "lines end with CRLF"] : []),
    ...(text.includes("\r") && !text.includes("\n") ? ["lines end with CR"] : []),
  ];
  return facts.length === 0 ? "" : `\n[the file: ${facts.join("; ")}]`;
}

const toLines = (count: number): string => `${count} ${count === 1 ? "line" : "lines"}`;

/** Makes control characters visible, so that no terminal obeys them. Tabs stay. */
const showControls = (line: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the point
  line.replace(/[\0-\x08\v-\x1f\x7f-\x9f]/g, (one) => {
    const code = one.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : "\uFFFD";
  });

/**
 * In the locale C names are printed in ASCII: special characters as escapes, all others beyond ASCII as octal bytes. Where
 * `ls` has no such option (BusyBox), it prints question marks.
 */
const LIST =
  '[ -r "$1" ] || exit 43; LC_ALL=C; export LC_ALL; if ls -dAb / >/dev/null 2>&1; then ls -lAb -- "$1"; else ls -lA -- "$1"; fi';

/** Exit code for a folder that may not be read. */
const CLOSED = 43;
const LIST_MS = 60_000;

async function listDirectory(sandbox: Sandbox, path: string, clock: Clock): Promise<ToolAnswer> {
  const window = createOutputWindow();
  const listing = followScript(sandbox, LIST, [path], { clock, limitMs: LIST_MS, workdir: sandbox.workdir });
  for (;;) {
    const next = await listing.next();
    if (next.done && next.value === CLOSED)
      throw new FileError("permission_denied", `Could not read ${path}: it may not be accessed.`);
    if (next.done) break;
    window.push(next.value.bytes);
  }
  const { text, cut } = window.render(null);
  return { title: path, output: showNames(text.trimEnd()), metadata: { path, directory: true, cut } };
}

/** Shows letters as letters. Backslashes, line breaks, invisible characters and bytes that are no text stay escapes. */
const showNames = (listing: string): string =>
  listing.replace(/(?:\\[0-7]{3})+|\\./gs, (escaped) => {
    if (!/^\\[0-7]{3}/.test(escaped)) return escaped === "\\ " ? " " : escaped;
    const file = decodeText(Uint8Array.from(escaped.slice(1).split("\\"), (octal) => Number.parseInt(octal, 8)));
    return file?.encoding === "UTF-8" && file.invalidBytes === 0
      ? showInvisible(`${file.hasMark ? "\uFEFF" : ""}${file.text}`)
      : escaped;
  });
