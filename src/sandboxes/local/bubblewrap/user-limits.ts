import { readFileSync } from "node:fs";
import { runHostTool } from "../host-tools.ts";
import type { Namespaces } from "./namespaces.ts";

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

/** Limits what a sandbox uses of its user's resources. @returns a note for the job on what is not limited, or null */
export async function limitUserResources(namespaces: Namespaces, nsenter: string): Promise<string | null> {
  const limits = LIMITS.flatMap(([name, hostFile]) => {
    const all = limitOf(hostFile);
    return all === null ? [] : [name, String(Math.max(MINIMUM, Math.floor(all / PARTS)))];
  });
  // The host's own /proc works here: these files show and set the limits of the process that opens them, which is in the
  // namespace by then.
  const set = 'while [ $# -gt 0 ]; do echo "$2" > "/proc/sys/user/$1" || exit 1; shift 2; done';
  const enter = [nsenter, "--preserve-credentials", ...namespaces.enterArgs(["user"]), "--"];
  const { code, stderr } = await runHostTool([...enter, "/bin/sh", "-c", set, "limits", ...limits]);
  if (code === 0) return null;
  return `The number of files it may watch is not limited: ${stderr.split("\n")[0]}.`;
}

function limitOf(path: string): number | null {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return null; // the kernel was built without it
  }
}
