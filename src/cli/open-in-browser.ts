import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Clock } from "../shared/clock.ts";

export interface OpenedInBrowser {
  /** Whether a browser was started: "none" = there is none here; "failed" = the program that opens it failed. */
  readonly outcome: Promise<"opened" | "none" | "failed">;
  /** Removes what was made for it. */
  close(): void;
}

/** How long the program that opens the browser may take to fail. It may also stay: as the browser itself. */
const FAILS_WITHIN_MS = 2_000;

/**
 * Opens an address in the user's browser: that of the variable BROWSER, or the desktop's. The address holds a secret, and
 * other users of the machine can read the arguments of programs: so what is opened is a file of his own that leads there.
 */
export function openInBrowser(url: string, clock: Pick<Clock, "after">): OpenedInBrowser {
  const command = browserOf(process.env, process.platform);
  if (command === null) return { outcome: Promise.resolve("none"), close() {} };
  const folder = mkdtempSync(join(tmpdir(), "parallel-agents-")); // private to the user
  const file = join(folder, "dashboard.html");
  writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${url}">`, { mode: 0o600 });
  const browser = spawn(command, [pathToFileURL(file).href], { stdio: "ignore", detached: true });
  browser.unref();
  const outcome = new Promise<"opened" | "failed">((resolve) => {
    const stop = clock.after(FAILS_WITHIN_MS, () => resolve("opened"));
    const end = (how: "opened" | "failed") => {
      stop();
      resolve(how);
    };
    browser.on("error", () => end("failed"));
    browser.on("exit", (code) => end(code === 0 ? "opened" : "failed"));
  });
  return { outcome, close: () => rmSync(folder, { recursive: true, force: true }) };
}

/** @returns the program that opens an address; null = nobody sits at a desktop here */
export function browserOf(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string | null {
  const { BROWSER, DISPLAY, WAYLAND_DISPLAY, SSH_CONNECTION } = env;
  if (BROWSER) return BROWSER;
  if (SSH_CONNECTION) return null;
  if (platform === "darwin") return "open";
  return DISPLAY || WAYLAND_DISPLAY ? "xdg-open" : null;
}
