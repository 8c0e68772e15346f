#!/usr/bin/env node
import { holdProcess } from "../shared/clock.ts";
import { COMMANDS } from "./commands.ts";
import { runCommandLine } from "./run-command-line.ts";
import { writeAll } from "./write-all.ts";

holdProcess();
sayWarningsOfOurs();
// What is printed is written by now, and a pending request to a remote machine must not keep the process.
process.exit(await runCommandLine(process.argv.slice(2), COMMANDS, { write, writeError }));

function write(text: string): void {
  try {
    writeAll(1, text);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EPIPE") process.exit(0); // whoever reads may have had enough, as `head` has
    writeError(`Could not print the whole result: ${message}\n`);
    process.exit(1);
  }
}

function writeError(text: string): void {
  try {
    writeAll(2, text);
  } catch {
    // There is nowhere left to say it.
  }
}

/** Not that SQLite is experimental in Node, which nobody who runs a command can do anything about. */
function sayWarningsOfOurs(): void {
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => {
    if (name !== "ExperimentalWarning") writeError(`${name}: ${message}\n`);
  });
}
