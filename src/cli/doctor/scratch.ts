import { lstatSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isProcessDead } from "../../shared/is-process-dead.ts";

const PREFIX = "opencode-parallel-agents-doctor-";
/** A folder of a doctor that was killed is removed by a later one, this long after: a process of another container may live. */
const LEFT_MS = 60 * 60_000;

/** A private folder for what checks write, apart from the state. The function that is returned removes it. */
export function makeScratch(now: number): { readonly path: string; readonly remove: () => void } {
  sweep(now);
  const path = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

function sweep(now: number): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(name.startsWith(PREFIX) ? name.slice(PREFIX.length).split("-")[0] : Number.NaN);
    const path = join(tmpdir(), name);
    const found = pid > 0 ? lstatSync(path, { throwIfNoEntry: false }) : undefined;
    if (!found?.isDirectory() || found.uid !== process.geteuid?.()) continue;
    if (isProcessDead(pid) && now - found.mtimeMs > LEFT_MS) rmSync(path, { recursive: true, force: true });
  }
}
