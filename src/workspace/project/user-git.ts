import { lstatOrNull } from "../../shared/missing-file.ts";
import type { ProjectStore } from "./project-store.ts";

/** Where the user's git is. It holds the lock of its index while it changes files, and then writes the index. */
export interface UserGit {
  /** The state of the index; null without one. */
  readonly index: string | null;
  /** Whether a git is at work; one that was killed leaves its lock behind. */
  readonly isLocked: boolean;
}

export async function lookAtUserGit({ userIndex }: ProjectStore): Promise<UserGit> {
  if (userIndex === null) return { index: null, isLocked: false };
  const [index, lock] = await Promise.all([lstatOrNull(userIndex), lstatOrNull(`${userIndex}.lock`)]);
  return { index: index && [index.ino, index.size, index.mtimeMs].join(" "), isLocked: lock !== null };
}

/** Whether the user's git changed no files between these two moments. */
export const isAtRest = (before: UserGit, after: UserGit): boolean =>
  !before.isLocked && !after.isLocked && before.index === after.index;

/** What to tell of files that were taken while it was not at rest. */
export const AT_WORK_NOTE =
  "git was at work in the repository while its files were taken, or has left its lock there (index.lock): they may be of different moments";
