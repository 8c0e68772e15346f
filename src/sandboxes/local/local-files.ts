import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { DeadlineError, within } from "../../shared/time-limit.ts";
import { FileError, type FileErrorCode, type OutputChunk, type SandboxProcess } from "../port.ts";

/*
 * File operations run as commands inside the sandbox, so that links, `..` and permissions have the meaning they have for
 * the job. The scripts answer by exit code; messages are never searched.
 */

interface FileDeps {
  readonly start: (argv: readonly string[]) => Promise<SandboxProcess>;
  readonly clock: Clock;
}

/** Time limit after the command's start, plus a second for each `BYTES_PER_SECOND`, a rate even the slowest disk sustains. */
const FILE_MS = 30_000;
const BYTES_PER_SECOND = 1024 * 1024;

const CODES: Readonly<Record<number, { readonly code: FileErrorCode; readonly says: string }>> = {
  41: { code: "file_not_found", says: "does not exist" },
  42: { code: "is_directory", says: "is a directory" },
  43: { code: "permission_denied", says: "may not be accessed" },
  44: { code: "file_failed", says: "is not a regular file" },
  45: { code: "file_failed", says: "could not be read" },
  47: { code: "file_failed", says: "could not be written: a part of its path is a file, not a folder" },
  46: { code: "file_failed", says: "could not be written (is the disk full, or the file system read-only?)" },
};

const PREPARE = `
f=$1; case $f in /*) ;; *) f=./$f ;; esac
reachable() {
  d=$f
  while d=\${d%/*}; [ -n "$d" ] && [ ! -d "$d" ]; do case $d in */*) ;; *) break ;; esac; done
  [ -z "$d" ] || [ ! -d "$d" ] || [ -x "$d" ] || exit 43
}`;

const READ = `${PREPARE}
[ -e "$f" ] || { reachable; exit 41; }
[ ! -d "$f" ] || exit 42
[ -r "$f" ] || exit 43
[ -f "$f" ] || exit 44
tail -c "+$2" -- "$f" 2>/dev/null | head -c "$3" || exit 45`;

const WRITE = `${PREPARE}
[ ! -d "$f" ] || exit 42
reachable
mkdir -p -- "\${f%/*}" 2>/dev/null || {
  d=\${f%/*}
  while [ -n "$d" ] && [ ! -e "$d" ]; do case $d in */*) d=\${d%/*} ;; *) break ;; esac; done
  [ ! -e "$d" ] || [ -d "$d" ] || exit 47
  [ -w "\${f%/*}" ] || exit 43
  exit 46
}
if [ -e "$f" ]; then [ -f "$f" ] || exit 44; [ -w "$f" ] || exit 43; else [ -w "\${f%/*}/." ] || exit 43; fi
cat > "$f" || exit 46
[ -z "$2" ] || chmod +x -- "$f" || exit 46`;

export async function readSandboxFile(
  { start, clock }: FileDeps,
  path: string,
  range: { readonly offset: number; readonly maxBytes: number },
): Promise<Uint8Array> {
  const child = await start(["/bin/sh", "-c", READ, "read", path, String(range.offset + 1), String(range.maxBytes)]);
  return inTime(child, clock, `read ${path}`, range.maxBytes, async () => {
    await child.closeInput();
    const bytes = await collect(child.output, "stdout", range.maxBytes);
    await expectZero(child, "read", path);
    return bytes;
  });
}

export async function writeSandboxFile(
  { start, clock }: FileDeps,
  path: string,
  content: Uint8Array,
  executable: boolean,
): Promise<void> {
  const child = await start(["/bin/sh", "-c", WRITE, "write", path, executable ? "x" : ""]);
  return inTime(child, clock, `write ${path}`, content.length, async () => {
    const drained = collect(child.output, "stderr", 0);
    // A script that refuses closes its input early; its exit code says why.
    await (content.length > 0 ? child.write(content).catch(() => {}) : undefined);
    await child.closeInput();
    await drained;
    await expectZero(child, "write", path);
  });
}

/** Limits the operation: the job may have stopped our command, or put a file that never ends at the path. */
async function inTime<T>(
  child: SandboxProcess,
  clock: Clock,
  doing: string,
  bytes: number,
  work: () => Promise<T>,
): Promise<T> {
  const limitMs = FILE_MS + Math.ceil(Math.min(bytes, 1024 ** 3) / BYTES_PER_SECOND) * 1000;
  return within(work(), { clock, limitMs, doing: `The attempt to ${doing} in the sandbox` }).catch((error: unknown) => {
    if (!(error instanceof DeadlineError)) throw error;
    void child.signal("SIGKILL").catch(() => {});
    const message = `Could not ${doing}: ${error.message}. It may not be a plain file, or processes in the sandbox may be stopping others.`;
    throw new FileError("file_failed", message, { cause: error });
  });
}

export async function collect(
  output: AsyncIterable<OutputChunk>,
  stream: OutputChunk["stream"],
  maxBytes: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of output) {
    if (chunk.stream !== stream || length >= maxBytes) continue;
    parts.push(chunk.bytes.subarray(0, maxBytes - length));
    length += Math.min(chunk.bytes.length, maxBytes - length);
  }
  return Buffer.concat(parts);
}

async function expectZero(child: SandboxProcess, verb: "read" | "write", path: string): Promise<void> {
  const end = await child.exit;
  if (end.kind === "unknown")
    throw new PluginError("sandbox_lost", `Could not ${verb} ${path}: ${end.reason}.`, { retryable: true });
  if (end.kind === "exited" && end.code === 0) return;
  const known = end.kind === "exited" ? CODES[end.code] : undefined;
  throw new FileError(known?.code ?? "file_failed", `Could not ${verb} ${path}: it ${known?.says ?? "failed"}.`);
}
