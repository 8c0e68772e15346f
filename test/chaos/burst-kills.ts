import { startModalServerProcess } from "../support/modal-server/own-process.ts";
import { playBurstKill } from "./burst-kill.ts";
import type { BurstPlace } from "./burst-process.ts";

/** Kills it at each step that one which is not killed goes through. @returns the exit code */
export async function playAllBurstKills(name: BurstPlace["name"], print: (line: string) => void): Promise<number> {
  const server = name === "modal" ? await startModalServerProcess() : null;
  Object.assign(process.env, server?.env);
  try {
    const { steps } = await playBurstKill(name, "none");
    let failed = 0;
    for (const step of steps.map((line) => line.replace(/^\d+ /, ""))) {
      const { files, problems } = await playBurstKill(name, step);
      print(
        `killed ${step}: its files are ${files}${problems.length === 0 ? "" : `, PROBLEMS: ${problems.join("; ")}`}`,
      );
      if (problems.length > 0) failed += 1;
    }
    print(`Steps: ${steps.length}, with problems: ${failed}`);
    return failed === 0 ? 0 : 1;
  } finally {
    await server?.stop();
  }
}
