import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { joinRecords } from "../paths.ts";
import { runScript } from "../sandbox/run-script.ts";
import { type FilePlan, isEmptyPlan } from "./file-plan.ts";
import { STAGE } from "./list-tree.ts";
import { parsePlanOutput, toPlanScript } from "./plan-script.ts";

/*
 * Files from one sandbox into another. This process passes the archive on and never looks into it: it is packed by the one
 * sandbox and unpacked by the other, into a folder of the work directory. From there the files are moved to their places
 * in one step, which begins with the renaming of the plan: a step that was cut off is either finished or undone as a whole.
 */

export interface ExchangeBounds {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

/** Names the folders of one exchange; letters, digits, `_` and `-`. */
export type ExchangeID = string;

const FOLDER = "/tmp/.parallel-agents-exchange";
const PIECE_BYTES = 8 * 1024 * 1024;

/** Packs the named entries, as they are, without what is in folders. A name that tar(1) cannot take, or that has vanished, is left out. */
const PACK = `cd -- "$1" || exit 66
f=$2
if tar --null --no-recursion -czf "$f/pack" -T "$f/list" 2>"$f/errors"; then :
elif [ $? -gt 1 ] || [ ! -s "$f/pack" ]; then
  tr '\\0' '\\n' < "$f/list" > "$f/lines"
  tar --no-recursion -czf "$f/pack" -T "$f/lines" 2>"$f/errors" || [ -s "$f/pack" ] || { cat "$f/errors" >&2; exit 1; }
fi
wc -c < "$f/pack"`;

/**
 * Unpacks into the stage, which git takes no notice of, and prints what of the list has not arrived. What tar(1) cannot take
 * has not; but where the disk is full or the pack is cut off, the file that it was at is there and is not whole.
 */
const UNPACK = `umask 077
cd -- "$1" || exit 66
f=$2 s=${STAGE}/$3
rm -rf -- "$s"; mkdir -p -- "$s/tree" || exit 1
printf '*\\n' > ${STAGE}/.gitignore
if [ -e "$f/part.000000" ]; then
  cat "$f"/part.* | gzip -dc | LC_ALL=C tar -xpf - -C "$s/tree" 2>"$f/errors" || {
    [ -n "$(ls -A "$s/tree")" ] && ! grep -qiE 'no space|quota|unexpected e|short read|write error|i/o error|input/output|corrupt' "$f/errors"
  } || { cat "$f/errors" >&2; exit 1; }
fi
xargs -0 -r sh -c 'for p do [ -e "$0/tree/$p" ] || [ -L "$0/tree/$p" ] || printf "%s\\0" "$p"; done' "$s" < "$f/list"
rm -rf -- "$f"`;

/** The renaming decides: with the plan under this name, whoever comes next finishes it. */
const APPLY = `cd -- "$1" || exit 66
s=${STAGE}/$2
mv -- "$s/plan.new" "$s/plan" && sync "$s/plan" 2>/dev/null
sh "$s/plan" "$s"; code=$?
[ "$code" -eq 0 ] || exit "$code"
rm -rf -- "$s"; rm -f ${STAGE}/.gitignore; rmdir ${STAGE} 2>/dev/null
exit 0`;

/**
 * Finishes what had begun, and removes what had not. Prints "finished" or "undone" for each exchange that it finds. Where the
 * sandbox outlives the process that carried one out, its script may be at work still: it finds nothing once its folder is renamed.
 */
const RECOVER = `cd -- "$1" || exit 0
rm -rf -- ${FOLDER}.*/
[ -d ${STAGE} ] && [ ! -L ${STAGE} ] || exit 0
for s in ${STAGE}/*/; do
  [ -d "$s" ] || continue
  s=\${s%/}; mv -- "$s" "$s.taken" && s=$s.taken
  if [ -f "$s/plan" ]; then sh "$s/plan" "$s" >/dev/null 2>&1; echo finished; else echo undone; fi
done
rm -rf -- ${STAGE}`;

/**
 * Brings entries of one sandbox into the stage of another.
 * @param paths files and links; folders above them are made when the plan is carried out
 * @returns those that have not arrived
 * @throws PluginError `workspace_failed`, `sandbox_lost`; Error
 */
export async function stageFiles(
  from: Sandbox,
  to: Sandbox,
  paths: readonly string[],
  id: ExchangeID,
  bounds: ExchangeBounds,
): Promise<readonly string[]> {
  const folder = `${FOLDER}.${id}`;
  const list = joinRecords(paths.map((path) => `./${path}`));
  if (paths.length > 0) {
    await from.writeFile(`${folder}/list`, list);
    const packed = await runScript(from, PACK, [from.workdir, folder], bounds);
    const bytes = Number(packed.stdout.trim());
    if (packed.code !== 0 || !Number.isSafeInteger(bytes)) throw failed(from, "pack", packed.stderr);
    let part = 0;
    for await (const piece of piecesOf(from, `${folder}/pack`, bytes)) {
      if (bounds.signal?.aborted) throw new Error("it was cancelled");
      await to.writeFile(`${folder}/part.${String(part++).padStart(6, "0")}`, piece);
    }
    await runScript(from, 'rm -rf -- "$1"', [folder], bounds);
  }
  await to.writeFile(`${folder}/list`, joinRecords(paths));
  const { code, stdout, stderr } = await runScript(to, UNPACK, [to.workdir, folder, id], bounds);
  if (code !== 0) throw failed(to, "unpack", stderr);
  return stdout.split("\0").slice(0, -1);
}

/**
 * Carries a plan out with what is in the stage: everything, or nothing. Once it has begun it is finished, by `recover` if need be.
 * @throws PluginError `workspace_failed`, `sandbox_lost`; Error
 */
export async function carryOut(
  sandbox: Sandbox,
  plan: FilePlan,
  id: ExchangeID,
  bounds: ExchangeBounds,
): Promise<{ readonly failed: readonly string[]; readonly same: readonly string[] }> {
  const { signal: _, ...unstoppable } = bounds;
  if (isEmptyPlan(plan)) {
    await recoverStage(sandbox, unstoppable);
    return { failed: [], same: [] };
  }
  await sandbox.writeFile(`${sandbox.workdir}/${STAGE}/${id}/plan.new`, toPlanScript(plan));
  // From here on nothing stops it: half of the plan would be worse than none.
  const { code, stdout, stderr } = await runScript(sandbox, APPLY, [sandbox.workdir, id], unstoppable);
  if (code !== 0) throw failed(sandbox, "put files in place", stderr);
  return parsePlanOutput(stdout);
}

/** What became of exchanges that were cut off: those that had begun are finished, the others undone. */
export async function recoverStage(
  sandbox: Sandbox,
  bounds: ExchangeBounds,
): Promise<"nothing" | "finished" | "undone"> {
  const { stdout } = await runScript(sandbox, RECOVER, [sandbox.workdir], bounds);
  return stdout.includes("finished") ? "finished" : stdout.includes("undone") ? "undone" : "nothing";
}

async function* piecesOf(sandbox: Sandbox, path: string, bytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes; ) {
    const piece = await sandbox.readFile(path, { offset, maxBytes: Math.min(PIECE_BYTES, bytes - offset) });
    if (piece.length === 0) throw failed(sandbox, "read what was packed", "it has become shorter");
    offset += piece.length;
    yield piece;
  }
}

const failed = ({ id }: Sandbox, doing: string, why: string): PluginError =>
  new PluginError(
    "workspace_failed",
    `Could not ${doing} in sandbox ${id}: ${why.trim().slice(-500) || "it was cut off"}.`,
    {
      retryable: null,
    },
  );
