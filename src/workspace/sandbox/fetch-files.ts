import type { Sandbox } from "../../sandboxes/port.ts";
import { joinRecords } from "../paths.ts";
import type { ListedFile } from "./list-files.ts";
import { followScript, type ScriptBounds } from "./run-script.ts";

/** A piece of the current file, or the end of it. */
export type FetchedPiece =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "end"; readonly ok: boolean };

const LIST = "/tmp/.parallel-agents-files";
const AT_ONCE = 500;

/**
 * Prints the files one after another, each followed by the mark and "+", or "-" where it could not be read. No size is sent
 * ahead, so a file may grow or shrink meanwhile. The inner script gets the mark as `$0`.
 */
const SEND = `cd -- "$1" || exit 66
xargs -0 -n ${AT_ONCE} sh -c '
  max=$1 mark=$0; shift
  for f do
    if [ -f "$f" ] && head -c "$max" "$f" 2>/dev/null; then printf "%s+" "$mark"; else printf "%s-" "$mark"; fi
  done' "$3" "$4" < "$2"
code=$?
rm -f -- "$2"
exit $code`;

/**
 * Streams the contents of files in the given order: for each its pieces, then its end.
 * @param mark separates the files; secret, though a job that guesses it only garbles its own files
 * @param fileBytes limit per file; one byte more is sent of a larger file, which tells the caller that it is larger
 * @throws PluginError `sandbox_lost`, Error
 */
export async function* fetchFiles(
  sandbox: Sandbox,
  files: readonly ListedFile[],
  { mark, fileBytes, ...bounds }: ScriptBounds & { readonly mark: string; readonly fileBytes: number },
): AsyncGenerator<FetchedPiece> {
  if (files.length === 0) return;
  const list = `${LIST}.${mark}`;
  await sandbox.writeFile(list, joinRecords(files.map(({ path }) => `./${path}`)));
  const args = [sandbox.workdir, list, mark, String(fileBytes + 1)];
  const running = followScript(sandbox, SEND, args, bounds);
  const split = createSplitter(Buffer.from(mark));
  try {
    for (;;) {
      const next = await running.next();
      if (next.done) {
        if (next.value !== 0) throw new Error(`reading them ended with exit code ${next.value}`);
        return;
      }
      if (next.value.stream === "stdout") yield* split(Buffer.from(next.value.bytes));
    }
  } finally {
    await running.return(0);
  }
}

/** Splits a stream at its marks, including marks that are spread over two chunks. */
function createSplitter(mark: Buffer): (chunk: Buffer) => Generator<FetchedPiece> {
  let rest: Buffer = Buffer.alloc(0);
  return function* split(chunk) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const at = rest.indexOf(mark);
      // The end of the chunk may be the beginning of a mark.
      const sure = at >= 0 ? at : Math.max(0, rest.length - mark.length + 1);
      if (sure > 0) yield { kind: "bytes", bytes: rest.subarray(0, sure) };
      rest = rest.subarray(sure);
      if (at < 0 || rest.length <= mark.length) return;
      yield { kind: "end", ok: rest[mark.length] === 0x2b };
      rest = rest.subarray(mark.length + 1);
    }
  };
}
