import { readFileSync } from "node:fs";
import { type OpencodeServer, startServe } from "./opencode.ts";
import { createHome, type OpencodeHome } from "./opencode-home.ts";

/*
 * One running `opencode serve` for many files of tests, because starting one and its first prompt take 4 seconds of CPU.
 * The runner starts it (`shared-opencode-main.ts`) and lends it to one file at a time. A file that is run without the
 * runner starts one for itself.
 */

/** The environment variable that names the process to a file of tests; its value is a `SharedOpencode` as JSON. */
const VARIABLE = "SHARED_OPENCODE";

export interface SharedOpencode {
  readonly url: string;
  readonly pid: number;
  readonly home: Omit<OpencodeHome, "git" | "remove">;
}

interface Host extends Pick<OpencodeServer, "url" | "pid" | "log"> {
  readonly home: OpencodeHome;
  /** Ends the process if it was started for this file. */
  release(): Promise<void>;
}

export async function sharedOpencode(): Promise<Host> {
  const lent = process.env[VARIABLE];
  if (lent !== undefined) {
    const { url, pid, home } = JSON.parse(lent) as SharedOpencode;
    const notOurs = () => {
      throw new Error("the home of the shared OpenCode belongs to the runner");
    };
    return {
      url,
      pid,
      log: () => readFileSync(home.logFile, "utf8"),
      home: { ...home, git: notOurs, remove: notOurs },
      release: () => Promise.resolve(),
    };
  }
  const home = createHome();
  const server = await startServe(home);
  return {
    ...server,
    home,
    async release() {
      await server.stop();
      await home.remove();
    },
  };
}
