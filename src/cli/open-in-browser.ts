import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Opens an address in the user's browser, where he sits at a desktop. The address holds a secret, and other users of the
 * machine can read the arguments of programs: so what is opened is a file of his own that leads there.
 * @returns the function that removes the file
 */
export function openInBrowser(url: string, tell: (text: string) => void): () => void {
  const { DISPLAY, WAYLAND_DISPLAY, SSH_CONNECTION } = process.env;
  const isMac = process.platform === "darwin";
  if (!process.stdout.isTTY || SSH_CONNECTION || !(isMac || DISPLAY || WAYLAND_DISPLAY)) return () => {};
  const folder = mkdtempSync(join(tmpdir(), "parallel-agents-")); // private to the user
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const file = join(folder, "dashboard.html");
  writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${url}">`, { mode: 0o600 });
  const browser = spawn(isMac ? "open" : "xdg-open", [file], { stdio: "ignore", detached: true });
  browser.on("error", () => tell("No browser could be opened; open the address yourself."));
  browser.unref();
  return remove;
}
