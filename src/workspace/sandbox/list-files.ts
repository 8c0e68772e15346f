import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import { splitRecords, toBytes } from "../paths.ts";
import { LONG } from "./job-git.ts";
import { followScript, type ScriptBounds } from "./run-script.ts";

/** A file as the sandbox reports it; every field is untrusted. */
export interface ListedFile {
  readonly path: string;
  /** `closed`: a folder that the job has no permission to read. `long`: a folder below which paths are too long. */
  readonly kind: "file" | "link" | "other" | "closed" | "long";
  readonly bytes: number;
  readonly isExecutable: boolean;
  /** Target of a link; "" for anything else. */
  readonly to: string;
}

const MAX_LISTED = 200_000;
const MAX_LIST_BYTES = 64 * 1024 * 1024;
const NO_FIND = 65;
const FIELDS = 5;
/** Characters shown of a path that is too long. */
const SHOWN_OF_LONG = 100;

/** Prints kind, mode, size, path and link target of every file. Where `find` lacks -printf, a shell does it file by file. */
const LIST = `cd -- "$1" || exit 66; shift
command -v find >/dev/null || exit ${NO_FIND}
${LONG}
if find . -maxdepth 0 -printf "" 2>/dev/null; then
  find "$@" -name .git -prune -o -path "$LONG" -prune -printf 'P\\0%m\\0%s\\0%p\\0\\0' \\
    -o ! -type d -printf '%y\\0%m\\0%s\\0%p\\0%l\\0' \\
    -o ! -perm -500 ! -exec sh -c '[ -r "$1" ] && [ -x "$1" ]' sh {} ';' -printf 'C\\0%m\\0%s\\0%p\\0\\0' 2>/dev/null
else
  find "$@" -name .git -prune -o -path "$LONG" -prune -exec sh -c '
    for f do printf "%s\\0%s\\0%s\\0%s\\0\\0" P 0 0 "$f"; done' sh {} + \\
    -o \\( ! -type d -o ! -perm -500 \\) -exec sh -c '
    for f do
      ms=$(stat -c "%a %s" "$f") || continue
      y=o l=
      if [ -L "$f" ]; then y=l; l=$(readlink "$f"); elif [ -f "$f" ]; then y=f; elif [ -d "$f" ]; then y=C; fi
      [ "$y" = C ] && [ -r "$f" ] && [ -x "$f" ] && continue
      printf "%s\\0%s\\0%s\\0%s\\0%s\\0" "$y" "\${ms% *}" "\${ms#* }" "$f" "$l"
    done' sh {} + 2>/dev/null
fi
true`;

/**
 * Lists files of a sandbox's work directory, except `.git`.
 * @param roots paths to list, with everything below them; "" = the whole work directory; missing ones are skipped
 * @throws PluginError `collect_failed`, `sandbox_lost`, Error
 */
export async function listFiles(
  sandbox: Sandbox,
  roots: readonly string[],
  bounds: ScriptBounds,
): Promise<readonly ListedFile[]> {
  const paths = roots.map((root) => toBytes(root === "" ? "." : `./${root}`).toString("utf8"));
  const running = followScript(sandbox, LIST, [sandbox.workdir, ...new Set(paths)], bounds);
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const next = await running.next();
    if (next.done) {
      if (next.value === 0) break;
      const why = next.value === NO_FIND ? "it has no find(1)" : `${sandbox.workdir} cannot be entered`;
      throw new PluginError("collect_failed", `Could not list the files of sandbox ${sandbox.id}: ${why}.`, {
        retryable: false,
      });
    }
    if (next.value.stream !== "stdout") continue;
    parts.push(next.value.bytes);
    length += next.value.bytes.length;
    if (length > MAX_LIST_BYTES) {
      await running.return(0);
      throw tooMany();
    }
  }
  const files = parseList(Buffer.concat(parts));
  if (files.length > MAX_LISTED) throw tooMany();
  return files;
}

/** Parses what `LIST` prints: each path once, sorted. Malformed records are dropped. */
function parseList(output: Buffer): ListedFile[] {
  const records = splitRecords(output);
  const found = new Map<string, ListedFile>();
  for (let at = 0; at + FIELDS <= records.length; at += FIELDS) {
    const [kind = "", mode = "", size = "", printed = "", to = ""] = records.slice(at, at + FIELDS);
    if (!/^[0-7]{1,6}$/.test(mode) || !/^\d{1,15}$/.test(size)) continue;
    const full = printed.replace(/^(\.\/)+/, "");
    const path = kind === "P" ? `${full.slice(0, SHOWN_OF_LONG)}...` : full;
    found.set(path, {
      path,
      kind: KINDS.get(kind) ?? "other",
      bytes: kind === "f" ? Number(size) : 0,
      isExecutable: (Number.parseInt(mode, 8) & 0o100) !== 0,
      to: kind === "l" ? to : "",
    });
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

const KINDS: ReadonlyMap<string, ListedFile["kind"]> = new Map([
  ["f", "file"],
  ["l", "link"],
  ["C", "closed"],
  ["P", "long"],
]);

const tooMany = () =>
  new PluginError(
    "collect_failed",
    `Could not list the job's files: there are more than ${MAX_LISTED}. Narrow paths down.`,
    {
      retryable: false,
    },
  );
