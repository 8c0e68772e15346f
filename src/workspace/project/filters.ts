import { nullIfNotFound } from "../git.ts";
import { joinRecords, splitRecords, toText } from "../paths.ts";
import type { ProjectStore } from "./project-store.ts";

/*
 * Filters of the user's git: programs that convert a file when it is added or checked out, as Git LFS and git-crypt do.
 * None of them ever runs here. Git's own conversions (line ends, encodings, `$Id$`) are no programs, and are left on.
 */

type Settings = readonly (readonly [key: string, value: string])[];

/** A run of git that reads attributes: in the user's repository, or with another working tree. */
export type AskGit = (args: readonly string[], input: Uint8Array) => Promise<Buffer>;

/** Filters whose files are never what they seem, also where the program is not installed. */
const WELL_KNOWN = /^(lfs|.*crypt.*)$/i;

export interface Filters {
  /** Settings under which no filter runs, and filtered files are read and written as they are. */
  readonly off: Settings;
  /** Those of `paths` that a filter would convert, with the filter's name. */
  filtered(ask: AskGit, paths: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** Reads which filters the user's configuration has. */
export async function readFilters(store: ProjectStore): Promise<Filters> {
  const names = await nullIfNotFound(store.user(["config", "-z", "--name-only", "--get-regexp", "^filter\\."]));
  const drivers = new Set(
    splitRecords(names ?? Buffer.alloc(0))
      .map((name) => name.slice("filter.".length, name.lastIndexOf(".")))
      .filter((driver) => driver !== ""),
  );
  return {
    off: [...drivers].flatMap((driver) => [
      ...["clean", "smudge", "process"].map((program) => [`filter.${toText(driver)}.${program}`, ""] as const),
      [`filter.${toText(driver)}.required`, "false"] as const, // a driver without programs is skipped unless required
    ]),
    async filtered(ask, paths) {
      const found = new Map<string, string>();
      if (paths.length === 0) return found;
      const fields = splitRecords(await ask(["check-attr", "-z", "--stdin", "filter"], joinRecords(paths)));
      for (let at = 0; at + 2 < fields.length; at += 3) {
        const [path = "", , value = ""] = fields.slice(at, at + 3);
        if (drivers.has(value) || WELL_KNOWN.test(value)) found.set(path, toText(value));
      }
      return found;
    },
  };
}
