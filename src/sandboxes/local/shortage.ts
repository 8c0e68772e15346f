import { readFileSync } from "node:fs";
import { PluginError } from "../../shared/error-code.ts";
import { requireFreeFiles } from "../../shared/start-program.ts";

/** More than a sandbox without commands holds open, and than what is open only while it is made. */
const FILES_OF_SANDBOX = 40;

/** Fails at once where a sandbox would fail half made. @throws PluginError */
export function requireFilesToOpen(): void {
  try {
    requireFreeFiles(FILES_OF_SANDBOX);
  } catch (error) {
    throw toShortage(error as Error) ?? error;
  }
}

type Failed = "No sandbox can be made" | "The command cannot be started";

/** null = it failed for another reason than a shortage. */
export function toShortage(cause: Error, failed: Failed = "No sandbox can be made"): PluginError | null {
  const shortage = shortageOf(cause.message, failed);
  const message = `${shortage} (${cause.message})`;
  const code = failed === "No sandbox can be made" ? "sandbox_create_failed" : "command_failed";
  return shortage === null ? null : new PluginError(code, message, { cause, retryable: true });
}

/**
 * What OpenCode or its machine is short of now, in a sentence with the remedy, where that is why something failed; null =
 * it failed for another reason. It may pass by itself when other jobs end. Most of these messages are those of other
 * programs, which have no codes.
 */
export function shortageOf(message: string, failed: Failed = "No sandbox can be made"): string | null {
  if (/EMFILE|ENFILE|too many open files/i.test(message)) {
    const limit = openFilesLimit();
    return `${failed} now, because this OpenCode has too many files open${limit && ` (it may have ${limit})`}. Raise the limit of open files (ulimit -n) before OpenCode starts, or run fewer jobs at once.`;
  }
  if (/EAGAIN|ENOMEM|Resource temporarily unavailable|Cannot allocate memory/i.test(message))
    return `${failed} now, because this machine has no process or memory left for it. Raise the limit of processes (ulimit -u, or pids.max of a container), or run fewer jobs at once.`;
  if (hasMountsChanged(message))
    return "The sandbox could not be made, because the mounts of this machine changed at that moment. Try again.";
  return null;
}

/** bwrap lists the mounts below a folder, and then changes each of them: one that has gone meanwhile is an invalid argument. */
export const hasMountsChanged = (message: string): boolean => /remount [^\n]*: Invalid argument/.test(message);

/** Empty where it cannot be read, as when no file at all can be opened. */
function openFilesLimit(): string {
  try {
    return /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}
