import { PluginError } from "../../shared/error-code.ts";
import { FileError, type FileErrorCode } from "../port.ts";
import { messageOf, nameOf } from "./modal-error.ts";
import type { SandboxCore } from "./sandbox-core.ts";

/*
 * Files are written through the SDK's file API, which streams and resumes. They are read by a short script in one exec,
 * because the file API cannot read ranges: it would fetch a whole gigabyte log to show its last lines.
 */

const CODES: Readonly<Record<number, { readonly code: FileErrorCode; readonly problem: string }>> = {
  41: { code: "file_not_found", problem: "does not exist" },
  42: { code: "is_directory", problem: "is a directory" },
  43: { code: "permission_denied", problem: "may not be accessed" },
  44: { code: "file_failed", problem: "is not a regular file" },
  45: { code: "file_failed", problem: "could not be read" },
};

const READ = `f=$1
[ -e "$f" ] || {
  d=$f
  while d=\${d%/*}; [ -n "$d" ] && [ ! -d "$d" ]; do case $d in */*) ;; *) break ;; esac; done
  [ -z "$d" ] || [ ! -d "$d" ] || [ -x "$d" ] || exit 43
  exit 41
}
[ ! -d "$f" ] || exit 42
[ -r "$f" ] || exit 43
[ -f "$f" ] || exit 44
if [ "$2" = 1 ]; then head -c "$3" -- "$f" 2>/dev/null; else tail -c "+$2" -- "$f" 2>/dev/null | head -c "$3"; fi || exit 45`;

/**
 * Reads part of a file.
 * @param path absolute
 * @param range bytes: at most `maxBytes` from `offset`
 * @throws FileError; PluginError `sandbox_lost`
 */
export async function readModalFile(
  core: SandboxCore,
  path: string,
  range: { readonly offset: number; readonly maxBytes: number },
): Promise<Uint8Array> {
  const argv = ["/bin/sh", "-c", READ, "read", path, String(range.offset + 1), String(range.maxBytes)];
  const limitMs = fileLimitMs(core, Math.min(range.maxBytes, 1024 ** 3));
  const { code, stdout } = await core.execOnce(argv, `Reading ${path}`, limitMs).catch(core.rethrowTranslated);
  if (code === 0) return stdout;
  const known = CODES[code];
  if (known) throw new FileError(known.code, `Could not read ${path}: it ${known.problem}.`);
  const why = await core.findEndReason();
  if (why !== null)
    throw new PluginError("sandbox_lost", `Could not read ${path}: sandbox ${core.id} has ended: ${why}.`, {
      retryable: false,
    });
  throw new FileError("file_failed", `Could not read ${path}: the command that reads it ended with ${code}.`);
}

const WRITE_ERRORS: Readonly<Record<string, FileErrorCode>> = {
  SandboxFilesystemNotFoundError: "file_not_found",
  SandboxFilesystemIsADirectoryError: "is_directory",
  SandboxFilesystemPermissionError: "permission_denied",
  SandboxFilesystemNotADirectoryError: "file_failed",
  SandboxFilesystemFileTooLargeError: "file_failed",
};

/**
 * Writes a whole file, and makes it executable if asked to.
 * @param path absolute
 * @throws FileError; PluginError `sandbox_lost`
 * @source Modal JS SDK 0.11.1, SandboxFilesystem.writeBytes and its SandboxFilesystem…Error classes
 */
export async function writeModalFile(
  core: SandboxCore,
  path: string,
  content: Uint8Array,
  executable: boolean,
): Promise<void> {
  const { clock } = core;
  const limitMs = fileLimitMs(core, content.length);
  try {
    await core.write(content, path, { clock, limitMs, doing: `Writing ${path} in sandbox ${core.id}` });
  } catch (error) {
    const name = nameOf(error);
    const code = Object.hasOwn(WRITE_ERRORS, name) ? WRITE_ERRORS[name] : undefined;
    if (code !== undefined) throw new FileError(code, `Could not write ${path}: ${messageOf(error)}`, { cause: error });
    // The SDK reports every failure below as "unexpected" or as a missing sandbox, which may just be unreachable.
    const lost = await core.translate(error);
    if (name === "SandboxFilesystemError" && (await core.findEndReason()) === null)
      throw new FileError("file_failed", `Could not write ${path}: ${messageOf(error)}`, { cause: error });
    throw lost instanceof PluginError && name === "NotFoundError" && (await core.findEndReason()) === null
      ? new PluginError("sandbox_lost", `Sandbox ${core.id} could not be reached to write ${path}.`, {
          cause: error,
          retryable: true,
        })
      : lost;
  }
  if (!executable) return;
  const { code } = await core
    .execOnce(["chmod", "+x", "--", path], `Making ${path} executable`)
    .catch(core.rethrowTranslated);
  if (code !== 0) throw new FileError("file_failed", `Could not make ${path} executable: chmod ended with ${code}.`);
}

const fileLimitMs = ({ limits }: SandboxCore, bytes: number): number =>
  limits.fileMs + Math.ceil(bytes / limits.fileBytesPerSecond) * 1000;
