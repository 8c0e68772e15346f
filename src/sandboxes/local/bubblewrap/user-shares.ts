import { readFileSync } from "node:fs";
import { runHostTool } from "../host-tools.ts";
import type { Namespaces } from "./namespaces.ts";

/*
 * What the kernel counts for a user as a whole, over all his programs and sandboxes: a job that takes all of it leaves
 * none to his editor, to OpenCode and to other jobs. A sandbox's user namespace has limits of its own for these.
 */

/** Of namespaces, and where the limit of the whole machine is read: in a namespace the same name says its own. */
const COUNTED: readonly (readonly [name: string, ofHost: string])[] = [
  ["max_inotify_instances", "/proc/sys/fs/inotify/max_user_instances"],
  ["max_inotify_watches", "/proc/sys/fs/inotify/max_user_watches"],
];
/** A sandbox gets this part: as many jobs as run at once by default take half. */
const PART = 16;
const LEAST = 4;

/** Limits what a sandbox takes of its user's. @returns what is not limited, a sentence to tell, or null */
export async function limitShares(namespaces: Namespaces, nsenter: string): Promise<string | null> {
  const shares = COUNTED.flatMap(([name, ofHost]) => {
    const all = limitOf(ofHost);
    return all === null ? [] : [name, String(Math.max(LEAST, Math.floor(all / PART)))];
  });
  // The host's own /proc: these files show, and set, the limits of whoever opens them, who is in the namespace by then.
  const set = 'while [ $# -gt 0 ]; do echo "$2" > "/proc/sys/user/$1" || exit 1; shift 2; done';
  const enter = [nsenter, "--preserve-credentials", ...namespaces.enterArgs(["user"]), "--"];
  const { code, stderr } = await runHostTool([...enter, "/bin/sh", "-c", set, "shares", ...shares]);
  if (code === 0) return null;
  return `The number of files it may watch is not limited: ${stderr.split("\n")[0]}.`;
}

function limitOf(path: string): number | null {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return null; // The kernel was made without it.
  }
}
