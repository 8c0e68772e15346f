import { readdir, readFile } from "node:fs/promises";
import { FIRST_PROCESS } from "./enclosure.ts";

/**
 * Ends first processes whose bwrap is gone. bwrap dies with the process that started it, and takes them with it; when
 * that happens in the moment before they can ask the kernel for it, they wait for ever for a word of it. No one can use
 * such a sandbox: its namespaces were known to the dead alone.
 */
export async function endOrphans(): Promise<void> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const read = (pid: string, what: string) => readFile(`/proc/${pid}/${what}`, "utf8").catch(() => "");
  const hasOurText = async (pid: string) => (await read(pid, "cmdline")).split("\0").includes(FIRST_PROCESS);
  for (const pid of pids) {
    if (!(await hasOurText(pid))) continue;
    const status = await read(pid, "status");
    const isFirst = /^NSpid:.*\t1$/m.test(status); // its bwrap has the same text, and no namespace of its own
    const parent = /^PPid:\t(\d+)$/m.exec(status)?.[1];
    if (!isFirst || parent === undefined || (await hasOurText(parent))) continue;
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended, or is another user's.
    }
  }
}
