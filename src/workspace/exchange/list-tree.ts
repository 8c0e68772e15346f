import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import { splitRecords } from "../paths.ts";
import { followScript, type ScriptBounds } from "../sandbox/run-script.ts";
import type { FileTree, TreeEntry } from "./file-trees.ts";

/** What a work directory holds, and what of it cannot be copied. */
export interface Listing {
  readonly tree: FileTree;
  /** Pipes, sockets and devices. */
  readonly special: readonly string[];
}

/** Folder of the work directory in which files are put together before they are moved to their places. */
export const STAGE = ".parallel-agents-exchange";

const MAX_LISTED = 300_000;
const MAX_LIST_BYTES = 128 * 1024 * 1024;
const NO_FIND = 65;
const CUT_OFF = 67;
const FIELDS = 8;
/** What find(1) prints of an entry after its letter. */
const ENTRY = "\\0%m\\0%s\\0%T@\\0%C@\\0%i\\0%p\\0%l\\0";

/**
 * Prints every entry below the work directory, but not what is mounted there. Where `find` lacks -printf, a shell does it
 * file by file, with times in whole seconds: it then waits until the second is over, so that whatever is changed later has another time.
 * A folder that cannot be read or entered has the letter C. Where find is killed, as for lack of memory, files that it has
 * not come to would be taken for removed.
 */
const LIST = `cd -- "$1" || exit 66
command -v find >/dev/null || exit ${NO_FIND}
if find . -maxdepth 0 -readable -executable -printf "" 2>/dev/null; then
  find . -mindepth 1 -xdev -path ./${STAGE} -prune -o -type d ! '(' -readable -executable ')' -printf 'C${ENTRY}' \\
    -o -printf '%y${ENTRY}' 2>/dev/null
  looked=$?
else
  find . -mindepth 1 -xdev -path ./${STAGE} -prune -o -exec sh -c '
    for f do
      set -- $(stat -c "%a %s %Y %Z %i" "$f") || continue
      y=o l=
      if [ -L "$f" ]; then y=l; l=$(readlink "$f"); elif [ -f "$f" ]; then y=f; elif [ -d "$f" ]; then y=d; [ -r "$f" ] && [ -x "$f" ] || y=C; fi
      printf "%s\\0%s\\0%s\\0%s\\0%s\\0%s\\0%s\\0%s\\0" "$y" "$1" "$2" "$3" "$4" "$5" "$f" "$l"
    done' sh {} + 2>/dev/null
  looked=$?
  sleep 1
fi
[ "$looked" -lt 128 ] || exit ${CUT_OFF}`;

/** Lists a work directory. @throws PluginError `workspace_failed`, `sandbox_lost`; Error */
export async function listTree(sandbox: Sandbox, bounds: ScriptBounds): Promise<Listing> {
  const running = followScript(sandbox, LIST, [sandbox.workdir], bounds);
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const next = await running.next();
    if (next.done) {
      if (next.value === 0) break;
      throw failed(
        sandbox,
        next.value === NO_FIND
          ? "there is no find(1) in it"
          : next.value === CUT_OFF
            ? "find(1) was killed there, such as for lack of memory"
            : `${sandbox.workdir} cannot be entered`,
      );
    }
    if (next.value.stream !== "stdout") continue;
    parts.push(next.value.bytes);
    length += next.value.bytes.length;
    if (length > MAX_LIST_BYTES) {
      await running.return(0);
      throw tooMany(sandbox);
    }
  }
  const listing = parseListing(Buffer.concat(parts));
  if (listing.tree.size > MAX_LISTED) throw tooMany(sandbox);
  return listing;
}

/** Parses what `LIST` prints. Malformed records are dropped. */
export function parseListing(output: Buffer): Listing {
  const records = splitRecords(output);
  const tree = new Map<string, TreeEntry>();
  const special: string[] = [];
  for (let at = 0; at + FIELDS <= records.length; at += FIELDS) {
    const [letter = "", mode = "", size = "", changed = "", seen = "", inode = "", printed = "", to = ""] =
      records.slice(at, at + FIELDS);
    const path = printed.replace(/^\.\//, "");
    if (!/^[0-7]{1,6}$/.test(mode) || !/^\d{1,15}$/.test(size) || !isInside(path)) continue;
    const kind = KINDS.get(letter);
    if (letter === "C") tree.set(path, { kind: "folder", mode, bytes: 0, mark: "", isClosed: true });
    else if (kind === undefined) special.push(path);
    else if (kind === "folder") tree.set(path, { kind, mode, bytes: 0, mark: "" });
    else if (kind === "link") tree.set(path, { kind, mode: "777", bytes: to.length, mark: `${to}\0${seen} ${inode}` });
    else tree.set(path, { kind, mode, bytes: Number(size), mark: `${changed} ${seen} ${inode}` });
  }
  return { tree, special };
}

const KINDS: ReadonlyMap<string, TreeEntry["kind"]> = new Map([["f", "file"], ["d", "folder"], ["l", "link"]]); // biome-ignore format: one line

/** No path leads out of the work directory, or into the stage. */
const isInside = (path: string): boolean =>
  path !== "" &&
  path.split("/").every((part) => part !== "" && part !== "." && part !== "..") &&
  path.split("/", 1)[0] !== STAGE;

const failed = ({ id }: Sandbox, why: string): PluginError =>
  new PluginError("workspace_failed", `Could not list the work directory of sandbox ${id}: ${why}.`, {
    retryable: false,
  });

const tooMany = (sandbox: Sandbox): PluginError => failed(sandbox, `it holds more than ${MAX_LISTED} entries`);
