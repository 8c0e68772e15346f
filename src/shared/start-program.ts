import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

/** More than starting a program takes for a moment: two for each pipe, some for files that it is given, and Bun's own. */
const FILES_OF_START = 16;

/**
 * Starts a program as `spawn` does, where there are enough open files left for that. Without the check Bun (1.3.14) may start
 * the program, fail to open its descriptor for the program's end, and then stand still with all of OpenCode until the program
 * ends; a program that waits for its input never does.
 * @throws Error EMFILE or ENFILE
 */
export const startProgram: typeof spawn = ((...args: Parameters<typeof spawn>) => {
  if (process.platform !== "win32") requireFreeFiles(FILES_OF_START);
  return spawn(...args);
}) as typeof spawn;

/** @throws Error EMFILE or ENFILE when fewer files than this can be opened now */
export function requireFreeFiles(count: number): void {
  const files: number[] = [];
  try {
    while (files.length < count) files.push(openSync("/dev/null", "r"));
  } finally {
    for (const fd of files) closeSync(fd);
  }
}
