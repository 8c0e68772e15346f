import { FileError, type Sandbox } from "../sandboxes/port.ts";

/** Largest file the file tools read: enough for any source file, small enough for memory. */
export const FILE_LIMIT_BYTES = 10 * 1024 * 1024;

/** Reads a whole text file. @throws FileError when it is missing, too large, or not UTF-8 */
export async function readText(sandbox: Sandbox, path: string): Promise<string> {
  const bytes = await sandbox.readFile(path, { offset: 0, maxBytes: FILE_LIMIT_BYTES + 1 });
  if (bytes.length > FILE_LIMIT_BYTES) {
    throw new FileError(
      "file_failed",
      `${path} is larger than 10 MiB; look at parts of it with sandbox_exec (sed, head, tail).`,
    );
  }
  try {
    // ignoreBOM keeps a byte order mark, so that an edit leaves it in place
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FileError("file_failed", `${path} is not UTF-8 text (${bytes.length} bytes); use sandbox_exec on it.`, {
      cause,
    });
  }
}

export const writeText = (sandbox: Sandbox, path: string, content: string): Promise<void> =>
  sandbox.writeFile(path, new TextEncoder().encode(content));
