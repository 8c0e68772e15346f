// The CPU time, user's and system's, of what the tests start.
import { readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

/** Of a process and of its children that have ended; null where the system does not tell. */
export function cpuOf(pid) {
  const ticks = ticksOf(pid);
  return ticks && ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

/** Of this process's children that have ended. */
export function cpuOfEnded() {
  const ticks = ticksOf("self");
  return ticks && (ticks[2] + ticks[3]) / TICKS_PER_SECOND;
}

/** User's and system's time of a process, and both of its children that have ended. */
function ticksOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ").slice(11, 15).map(Number);
  } catch {
    return null;
  }
}

/** Has a shell run a command, as only the parent of a process learns its time, and write what `readTimes` reads to descriptor 3. */
export const timed = (...command) => ["sh", "-c", '"$@" 3>&-; code=$?; times >&3; exit $code', "sh", ...command];

/** @param text what `times` of a shell says: its own on one line, its children's on the next, as in "0m1.50s 0m0.25s" */
export function readTimes(text) {
  const seconds = [...(text.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)].map(([, m, s]) => 60 * m + Number(s));
  return seconds.reduce((sum, each) => sum + each, 0);
}
