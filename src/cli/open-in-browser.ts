import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
  const browsers = browsersOf(process.env, process.platform);
  if (browsers.length === 0) return { outcome: Promise.resolve("none"), close() {} };
  const folder = mkdtempSync(join(tmpdir(), "parallel-agents-")); // private to the user
  const file = join(folder, "dashboard.html");
  writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${url}">`, { mode: 0o600 });
  const address = pathToFileURL(file).href;
  return {
    outcome: openOneOf(browsers, address, clock),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Tries one after another until one does not fail. */
async function openOneOf(browsers: readonly Browser[], address: string, clock: Pick<Clock, "after">) {
  for (const browser of browsers) if (await start(browser(address), clock)) return "opened" as const;
  return "failed" as const;
}

function start([program = "", ...args]: readonly string[], clock: Pick<Clock, "after">): Promise<boolean> {
  return new Promise((resolve) => {
    const browser = spawn(program, args, { stdio: "ignore", detached: true });
    browser.unref();
    const stop = clock.after(FAILS_WITHIN_MS, () => resolve(true));
    const end = (isOpened: boolean) => {
      stop();
      resolve(isOpened);
    };
    browser.on("error", () => end(false));
    browser.on("exit", (code) => end(code === 0));
  });
}

/** The command line that opens an address. */
type Browser = (address: string) => readonly string[];

/**
 * The ways to open an address, the preferred one first; none = nobody sits at a desktop here. BROWSER is a list as `xdg-open`
 * and Python read it: split at colons, each a command whose `%s` is the address, which else comes last, and `%c` a colon. A
 * path that names a program is one, whatever is in it.
 * @source xdg-utils, `xdg-open`, `open_envvar`; Python, `webbrowser`; man-db, `man(1)`
 */
export function browsersOf(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, exists = existsSync): readonly Browser[] {
  const { BROWSER, DISPLAY, WAYLAND_DISPLAY, SSH_CONNECTION } = env;
  if (BROWSER?.trim()) return browsersIn(BROWSER, platform, exists);
  if (SSH_CONNECTION) return [];
  if (platform === "darwin") return [(address) => ["open", address]];
  return DISPLAY || WAYLAND_DISPLAY ? [(address) => ["xdg-open", address]] : [];
}

const browsersIn = (list: string, platform: NodeJS.Platform, exists: (path: string) => boolean): Browser[] =>
  (exists(list) ? [list] : list.split(platform === "win32" ? ";" : ":"))
    .map((command) => (exists(command) ? [command] : wordsOf(command)))
    .filter(([program = ""]) => program !== "")
    .map((words) => (address) => {
      const filled = words.map((word) =>
        word.replaceAll(/%[sc%]/g, (mark) => (mark === "%s" ? address : mark === "%c" ? ":" : "%")),
      );
      return words.some((word) => word.includes("%s")) ? filled : [...filled, address];
    });

/** Words of a command line; quotes keep blanks in one. No shell sees it, and each browser is started in the background. */
const wordsOf = (command: string): string[] =>
  [...command.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)]
    .map(([word]) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"))
    .filter((word) => word !== "&");
