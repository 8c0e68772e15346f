#!/usr/bin/env node
import { holdProcess } from "../shared/clock.ts";
import { COMMANDS } from "./commands.ts";
import { runCommandLine } from "./run-command-line.ts";

holdProcess();
sayWarningsOfOurs();
// Whoever reads may have had enough, as `head` has.
process.stdout.on("error", () => process.exit(0));
process.stderr.on("error", () => {});
const code = await runCommandLine(process.argv.slice(2), COMMANDS, {
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});
// A reader may take what was printed later than this process ends; a pending request to a remote machine must not keep it.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(code);

/** Not that SQLite is experimental in Node, which nobody who runs a command can do anything about. */
function sayWarningsOfOurs(): void {
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => {
    if (name !== "ExperimentalWarning") process.stderr.write(`${name}: ${message}\n`);
  });
}
