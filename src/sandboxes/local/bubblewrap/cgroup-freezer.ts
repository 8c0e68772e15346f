import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";

const FREEZE_MS = 2_000;
const POLL_MS = 2;

/**
 * Freezes all processes of a cgroup, which they can neither detect nor prevent. Frozen processes can still be killed.
 * Cgroups of version 1 are not frozen, because their frozen processes cannot be killed and would stay forever if we died.
 * @returns a function that resumes them; null where the cgroup cannot be frozen
 */
export async function freezeCgroup(folder: string, clock: Clock): Promise<(() => Promise<void>) | null> {
  const file = join(folder, "cgroup.freeze");
  if (!existsSync(file)) return null;
  const resume = async () => {
    if (existsSync(file)) writeFileSync(file, "0");
  };
  try {
    writeFileSync(file, "1");
    for (const until = clock.now() + FREEZE_MS; clock.now() < until; await sleep(clock, POLL_MS))
      if (/^frozen 1$/m.test(readFileSync(join(folder, "cgroup.events"), "utf8"))) return resume;
    await resume(); // one of them is in an operation that cannot be interrupted
  } catch {
    // The cgroup is gone, and with it its processes.
  }
  return null;
}
