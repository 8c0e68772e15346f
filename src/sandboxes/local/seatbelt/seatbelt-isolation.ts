import { existsSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { bareEnclosure, NO_LIMITS } from "../bare-isolation.ts";
import type { Isolation } from "../isolation.ts";
import { plainTrees } from "../plain-trees.ts";
import { seatbeltProfile } from "./seatbelt-profile.ts";

const SANDBOX_EXEC = "/usr/bin/sandbox-exec";

/**
 * Seatbelt on macOS. The profile's text is tested; it has not been run on a Mac yet, so treat its strength as unproven.
 * Unlike bubblewrap it shares the host's network: loopback is denied by rule, and a command that leaves its process
 * group outlives its sandbox.
 */
export function createSeatbeltIsolation(rootDir: string, hostPath: string): Isolation | string {
  if (process.platform !== "darwin") return "Seatbelt needs macOS";
  if (!existsSync(SANDBOX_EXEC)) return `${SANDBOX_EXEC} does not exist`;
  return {
    kind: "seatbelt",
    lent: null,
    trees: plainTrees,
    async open(plan) {
      const dirs = {
        root: realpathSync(plan.dirs.root),
        workspace: realpathSync(plan.dirs.workspace),
        home: realpathSync(plan.dirs.home),
        tmp: realpathSync(plan.dirs.tmp),
        logs: realpathSync(plan.dirs.logs),
      };
      const home = realpathSync(homedir());
      const readable = hostPath
        .split(":")
        .filter((folder) => folder.startsWith(`${home}/`) && /\/(s?bin|shims)$/.test(folder) && existsSync(folder))
        .map((folder) => realpathSync(folder));
      const profile = seatbeltProfile(dirs, home, realpathSync(rootDir), readable, plan.network);
      const notes = [
        "This sandbox lives at its host path; loopback is denied, the rest of the host's network is shared.",
        NO_LIMITS,
      ];
      return bareEnclosure({ ...plan, dirs }, notes, { PATH: hostPath }, ({ argv }) => [
        SANDBOX_EXEC,
        "-p",
        profile,
        ...argv,
      ]);
    },
  };
}
