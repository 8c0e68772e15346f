import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** How the page was opened. */
export interface Opened {
  /** With its token. */
  readonly url: string;
  readonly isInBrowser: boolean;
}

interface Started {
  readonly child: ChildProcess;
  url: string | null;
}

/**
 * The dashboard in a process of its own, so that what it reads never holds up the terminal UI. It is started once, opens the
 * page again when it is asked to, and ends with this process, however that ends: its standard input does.
 */
export class DashboardProcess {
  #started: Started | null = null;

  /** @param args of `opencode-parallel-agents dashboard`; they count where it is started @throws Error that says why not */
  open(args: readonly string[], cwd: string): Promise<Opened> {
    const started = this.#started ?? this.#start(args, cwd);
    if (started !== this.#started) this.#started = started;
    else started.child.stdin?.write("open\n");
    return this.#answerOf(started);
  }

  close(): void {
    this.#started?.child.kill();
    this.#started = null;
  }

  #start(args: readonly string[], cwd: string): Started {
    const cli = fileURLToPath(
      new URL(import.meta.url.endsWith(".ts") ? "../cli/main.ts" : "../cli/main.js", import.meta.url),
    );
    const child = spawn(process.execPath, [cli, "dashboard", "--attached", ...args], {
      cwd,
      // OpenCode is a program of Bun, and runs others as Bun does when it is told to.
      env: { ...process.env, BUN_BE_BUN: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin?.on("error", () => {}); // it has ended, which `exit` says
    return { child, url: null };
  }

  #answerOf(started: Started): Promise<Opened> {
    const { child } = started;
    return new Promise((resolve, reject) => {
      const [out, err] = [lines(), lines()];
      const onOut = (chunk: Buffer) => {
        for (const line of out(chunk)) {
          const told = parse(line);
          if (told.url !== undefined) started.url = told.url;
          if (told.browser === undefined || started.url === null) continue;
          leave();
          resolve({ url: started.url, isInBrowser: told.browser === "opened" });
        }
      };
      let why = "";
      const onErr = (chunk: Buffer) => {
        for (const line of err(chunk)) if (line.trim() !== "") why = line.trim();
      };
      const onEnd = (failure: unknown) => {
        leave();
        if (this.#started === started) this.#started = null;
        reject(new Error(why || (failure instanceof Error ? failure.message : "its process has ended")));
      };
      const leave = () => {
        child.stdout?.off("data", onOut);
        child.stderr?.off("data", onErr);
        child.stderr?.resume();
        child.off("error", onEnd);
        child.off("close", onEnd);
      };
      child.stdout?.on("data", onOut);
      child.stderr?.on("data", onErr);
      child.once("error", onEnd);
      child.once("close", onEnd);
      child.once("close", () => {
        if (this.#started === started) this.#started = null;
      });
    });
  }
}

/** Whole lines of what arrives in pieces. */
function lines(): (chunk: Buffer) => readonly string[] {
  let rest = "";
  return (chunk) => {
    const all = (rest + chunk.toString()).split("\n");
    rest = all.pop() ?? "";
    return all;
  };
}

function parse(line: string): { readonly url?: string; readonly browser?: string } {
  try {
    return JSON.parse(line) as { url?: string; browser?: string };
  } catch {
    return {};
  }
}
