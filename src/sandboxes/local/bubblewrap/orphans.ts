import { readdir, readFile } from "node:fs/promises";
import { nullIfMissing } from "../../../shared/missing-file.ts";
import { FIRST_COMMAND } from "./programs/sandbox-programs.ts";

/**
 * Ends orphaned first processes, whose bwrap has died. bwrap normally takes its first process with it when it dies, but
 * not if it dies before the first process has asked the kernel for that: then the process would wait forever. Nobody can use
 * such a sandbox, because only the dead process knew its namespaces.
 */
export async function endOrphans(): Promise<void> {
  // Without /proc (macOS) there is no bubblewrap either.
  const pids = ((await nullIfMissing(readdir("/proc"))) ?? []).filter((name) => /^\d+$/.test(name));
  // A process may end, or hide its files from us; either way it is not one of ours to end.
  const read = (pid: string, what: string) => readFile(`/proc/${pid}/${what}`, "utf8").catch(() => "");
  const hasOurText = async (pid: string) => {
    const words = (await read(pid, "cmdline")).split("\0");
    return FIRST_COMMAND.every((word) => words.includes(word));
  };
  for (const pid of pids) {
    if (!(await hasOurText(pid))) continue;
    const status = await read(pid, "status");
    const isFirst = /^NSpid:.*\t1$/m.test(status); // bwrap itself has the same text, but is not pid 1 of a namespace
    const parent = /^PPid:\t(\d+)$/m.exec(status)?.[1];
    if (!isFirst || parent === undefined || (await hasOurText(parent))) continue;
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // it has ended, or belongs to another user
    }
  }
}
