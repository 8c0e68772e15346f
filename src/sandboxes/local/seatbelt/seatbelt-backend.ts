import { existsSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { IsolationBackend } from "../isolation.ts";
import { dirsAt } from "../layout.ts";
import { NO_LIMITS, processGroupIsolation } from "../no-isolation.ts";
import { plainTrees } from "../plain-trees.ts";
import { seatbeltProfile } from "./seatbelt-profile.ts";

const SANDBOX_EXEC = "/usr/bin/sandbox-exec";

/**
 * Seatbelt on macOS, used only when `local.isolation` names it. Its profile is tested as text, but it has never been run
 * on a Mac, so treat its protection as unproven. Unlike bubblewrap it shares the host's network, denies loopback by a rule
 * only, and lets a command that leaves its process group outlive its sandbox.
 * @returns the backend, or why it cannot be used here
 */
export function createSeatbeltBackend(rootDir: string, hostPath: string): IsolationBackend | string {
  if (process.platform !== "darwin") return "Seatbelt needs macOS";
  if (!existsSync(SANDBOX_EXEC)) return `${SANDBOX_EXEC} does not exist`;
  return {
    kind: "seatbelt",
    lent: null,
    trees: plainTrees,
    async open(plan) {
      const { root } = plan.dirs; // it may not be there yet
      const dirs = dirsAt(join(realpathSync(dirname(root)), basename(root)));
      const home = realpathSync(homedir());
      const readable = hostPath
        .split(":")
        .filter((folder) => folder.startsWith(`${home}/`) && /\/(s?bin|shims)$/.test(folder) && existsSync(folder))
        .map((folder) => realpathSync(folder));
      const profile = seatbeltProfile(dirs, home, realpathSync(rootDir), readable, plan.network);
      const notes = [
        "This sandbox uses its real path on the host and shares the host's network, except loopback.",
        NO_LIMITS,
      ];
      return processGroupIsolation({ ...plan, dirs }, notes, { PATH: hostPath }, ({ argv }) => [
        SANDBOX_EXEC,
        "-p",
        profile,
        ...argv,
      ]);
    },
  };
}
