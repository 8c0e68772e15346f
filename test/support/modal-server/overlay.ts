import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "./run-tool.ts";

/** Command line that gives a process its own mounts, which end with it. */
export const OWN_MOUNTS = ["/usr/bin/unshare", "--mount"] as const;

const TRY =
  "mount -t tmpfs none /tmp && cd /tmp && mkdir a b c d && exec mount -t overlay none -o lowerdir=a,upperdir=b,workdir=c d";

let works: boolean | undefined;

/** Whether overlay mounts work here. Tried once. */
export function canOverlay(): boolean {
  const [unshare, ...flags] = OWN_MOUNTS;
  works ??= spawnSync(unshare, [...flags, "/bin/sh", "-c", TRY], { stdio: "ignore" }).status === 0;
  return works;
}

/** Mounts the tree `below` at `root`; writes go to `scratch`. */
export async function layOver(below: string, root: string, scratch: string): Promise<void> {
  const [upper, work] = [join(scratch, "upper"), join(scratch, "work")];
  for (const folder of [root, upper, work]) await mkdir(folder, { recursive: true });
  const trees = `lowerdir=${below},upperdir=${upper},workdir=${work},redirect_dir=on`;
  await runTool("mount", ["-t", "overlay", "overlay", "-o", trees, root]);
}

export const takeOff = (root: string): Promise<void> => runTool("umount", [root], [0, 32]); // 32: it is not mounted
