import { fileKindOf } from "../core/file-kind.ts";
import { decodeText, encodeText, type TextFile } from "../core/text-encoding.ts";
import { FileError, type Sandbox } from "../sandboxes/port.ts";

/** Largest file the file tools read: enough for any source file, small enough for memory. */
export const FILE_LIMIT_BYTES = 10 * 1024 * 1024;

/** @throws FileError when it is missing, or larger than `FILE_LIMIT_BYTES` */
export async function readWhole(sandbox: Sandbox, path: string): Promise<Uint8Array> {
  const bytes = await sandbox.readFile(path, { offset: 0, maxBytes: FILE_LIMIT_BYTES + 1 });
  if (bytes.length <= FILE_LIMIT_BYTES) return bytes;
  const kind = fileKindOf(bytes);
  const hint = kind?.image
    ? `it is a ${kind.name}, of which a smaller copy can be shown (ImageMagick: convert -resize 1600x1600; Python: PIL)`
    : kind
      ? `by its content it is a ${kind.name}`
      : "look at parts of it with sandbox_exec (sed, head, tail)";
  throw new FileError("file_failed", `${path} is larger than 10 MiB; ${hint}.`);
}

/** @throws FileError for binary data */
export function toText(path: string, bytes: Uint8Array): TextFile {
  const file = decodeText(bytes);
  if (file !== null) return file;
  throw new FileError("file_failed", `${path} is a ${describeBinary(bytes)}; use programs of the sandbox on it.`);
}

export function describeBinary(bytes: Uint8Array): string {
  const kind = fileKindOf(bytes);
  const other = kind?.name.endsWith(" image") ? "; models see PNG, JPEG, GIF and WebP, so convert a copy" : "";
  return `binary file of ${bytes.length} bytes${kind ? `, by its content: ${kind.name}${other}` : ""}`;
}

/** @throws FileError when the file's encoding lacks a character of the text */
export async function writeText(sandbox: Sandbox, path: string, file: TextFile, text: string): Promise<void> {
  const encoded = encodeText(file, text);
  if ("lacks" in encoded) {
    const message = `${path} is not UTF-8 and was taken as ${file.encoding}, which has no "${encoded.lacks}"; convert the file first (iconv), or leave that character out.`;
    throw new FileError("file_failed", message);
  }
  await sandbox.writeFile(path, encoded.bytes);
}

/** Line breaks as some models write them, escaped once too often. */
export const WRITTEN_BREAKS = "\\n or \\t as two characters each";

/** Says of a text that was written as given that its lines are probably meant to be several. @param name of the argument */
export function describeBreaks(name: string, text: string): string[] {
  const isProbable = !/[\r\n]/.test(text) && text.split("\\n").length > 2 && !/^\s*[[{"]/.test(text); // JSON on one line
  return isProbable
    ? [`${name} is one line, with ${WRITTEN_BREAKS}: give line breaks as such if lines were meant.`]
    : [];
}
