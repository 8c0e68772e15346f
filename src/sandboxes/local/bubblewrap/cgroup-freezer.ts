import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";

const FROZEN_MS = 2_000;
const LOOK_MS = 2;

/**
 * Has all processes of a cgroup stand still, which none of them can see or hinder. They can be killed all the same. Not
 * with version 1: what that froze cannot be killed, and would stay for ever if we died meanwhile.
 * @returns lets them go on; null where the cgroup cannot be frozen
 */
export async function freezeCgroup(folder: string, clock: Clock): Promise<(() => Promise<void>) | null> {
  const file = join(folder, "cgroup.freeze");
  if (!existsSync(file)) return null;
  const letGo = async () => {
    if (existsSync(file)) writeFileSync(file, "0");
  };
  try {
    writeFileSync(file, "1");
    for (const until = clock.now() + FROZEN_MS; clock.now() < until; await sleep(clock, LOOK_MS))
      if (/^frozen 1$/m.test(readFileSync(join(folder, "cgroup.events"), "utf8"))) return letGo;
    await letGo(); // one of them is in the middle of something that cannot be interrupted
  } catch {
    // It is gone, and so are its processes.
  }
  return null;
}
