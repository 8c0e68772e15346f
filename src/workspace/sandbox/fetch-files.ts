import type { Sandbox } from "../../sandboxes/port.ts";
import { joinRecords } from "../paths.ts";
import type { ListedFile } from "./list-files.ts";
import { followScript, type ScriptBounds } from "./run-script.ts";

/** A piece of the file in turn, or its end. */
export type FetchedPiece =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "end"; readonly ok: boolean };

const LIST = "/tmp/.parallel-agents-files";
const AT_ONCE = 500;

/**
 * One file after another, a mark behind each: what is read is what is there, though it grows or shrinks meanwhile. The
 * first argument of the inner script is its name.
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
 * The contents of these files, in their order: pieces, then an end, for each.
 * @param mark nobody else knows it; a job that guesses it garbles its own files
 * @param fileBytes of each, at most one byte more is sent: by that it is known to be larger
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
  const cutter = createCutter(Buffer.from(mark));
  try {
    for (;;) {
      const next = await running.next();
      if (next.done) {
        if (next.value !== 0) throw new Error(`sending its files ended with ${next.value}`);
        return;
      }
      if (next.value.stream === "stdout") yield* cutter(Buffer.from(next.value.bytes));
    }
  } finally {
    await running.return(0);
  }
}

/** Cuts a stream at its marks, wherever it is torn. */
export function createCutter(mark: Buffer): (chunk: Buffer) => Generator<FetchedPiece> {
  let rest: Buffer = Buffer.alloc(0);
  return function* cut(chunk) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const at = rest.indexOf(mark);
      // A mark, or its beginning, may still be coming.
      const sure = at >= 0 ? at : Math.max(0, rest.length - mark.length + 1);
      if (sure > 0) yield { kind: "bytes", bytes: rest.subarray(0, sure) };
      rest = rest.subarray(sure);
      if (at < 0 || rest.length <= mark.length) return;
      yield { kind: "end", ok: rest[mark.length] === 0x2b };
      rest = rest.subarray(mark.length + 1);
    }
  };
}
