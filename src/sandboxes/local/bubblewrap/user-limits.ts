import { readFileSync } from "node:fs";

/*
 * Resources that the kernel counts per user, over all programs and sandboxes: a job that took all of them would leave none
 * for the user's editor, OpenCode and other jobs. So the user namespace of each sandbox gets lower limits.
 */

/** The namespace's limit, and the file with the host's limit: inside a namespace the same name shows its own limit. */
const LIMITS: readonly (readonly [name: string, hostFile: string])[] = [
  ["max_inotify_instances", "/proc/sys/fs/inotify/max_user_instances"],
  ["max_inotify_watches", "/proc/sys/fs/inotify/max_user_watches"],
];
/** A sandbox gets one part of this many: the 8 jobs that run at once by default get half of the host's limit. */
const PARTS = 16;
const MINIMUM = 4;

/** What a sandbox may use of its user's resources, as names and values in turn. */
export const userLimits = (): string[] =>
  LIMITS.flatMap(([name, hostFile]) => {
    const all = limitOf(hostFile);
    return all === null ? [] : [name, String(Math.max(MINIMUM, Math.floor(all / PARTS)))];
  });

function limitOf(path: string): number | null {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return null; // the kernel was built without it
  }
}
