import { PluginError } from "../../shared/error-code.ts";
import type { BrokenRow } from "./rows.ts";

/*
 * Why a state file cannot be used, though it is not damaged, and what to do about it.
 */

const REMEDIES: readonly [causes: RegExp, remedy: string, retryable: boolean][] = [
  [/SQLITE_FULL|ENOSPC|EDQUOT|disk is full|errcode 13$/, "Free some space on its disk, then try again.", true],
  [
    /SQLITE_(?:BUSY|LOCKED)|database is locked|errcode [56]$/,
    'Another program holds a lock on it: end that program or wait, then try again. Where there is none, its disk is one that cannot lock, as some network disks: set "stateDir" to another one, on a disk of this machine.',
    true,
  ],
  [
    /SQLITE_(?:READONLY|CANTOPEN|PERM)|EACCES|EPERM|EROFS|EISDIR|ENOTDIR|readonly database|errcode (?:3|8|14)$/,
    'Make the file and its folder writable for you, or set "stateDir" to another one.',
    false,
  ],
  [
    /SQLITE_(?:IOERR|PROTOCOL)|EIO|disk I\/O|locking protocol|errcode 1[05]$/,
    'Check its disk, or set "stateDir" to another one, on a disk of this machine: network disks, and those that a container or WSL shares with its host, often cannot do what SQLite needs.',
    false,
  ],
  [/EMFILE|ENFILE/, "Raise the limit of open files (ulimit -n), or start fewer OpenCodes.", true],
];

export const toReason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The remedy for what kept a state file from being used; undefined where none is known. */
function remedyOf(cause: unknown): (typeof REMEDIES)[number] | undefined {
  const { code, errcode } = (cause ?? {}) as { code?: unknown; errcode?: unknown };
  const words = `${String(code)} ${toReason(cause)}${typeof errcode === "number" ? ` errcode ${errcode & 0xff}` : ""}`;
  return REMEDIES.find(([causes]) => causes.test(words));
}

/** Whether a write to a state file failed for a reason outside it, such as a full disk: the same write may succeed later. */
export const isUnwritable = (cause: unknown): boolean => remedyOf(cause) !== undefined;

export function unusable(file: string, cause: unknown): PluginError {
  const found = remedyOf(cause);
  const remedy = found?.[1] ?? 'Move it away, or set "stateDir" to another one.';
  const message = `Could not use the state file ${file}: ${toReason(cause)}. ${remedy}`;
  return new PluginError("config_invalid", message, { cause, retryable: found?.[2] ?? false });
}

/** Not set aside at once: another process, perhaps of a later version, may be using the file. */
export function brokenRow(file: string, cause: BrokenRow): PluginError {
  const message = `The state file ${file} has a record that this version cannot read: ${cause.message}. Restart every OpenCode that uses it, with the same version of the plugin.`;
  return new PluginError("config_invalid", message, { cause, retryable: false });
}
