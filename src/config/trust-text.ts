import { plainName } from "../shared/plain-text.ts";
import type { IgnoredOption } from "./trust.ts";

const SHOWN = 40;
const LONGEST_PATH = 4_096;

/** What a user can do who wants all of the project's file to count. */
export interface TrustRemedy {
  /** The project's, without links. */
  readonly directory: string;
  readonly sha256: string;
  readonly userFile: string;
  readonly trust: "none" | "another";
}

/** Tells that options of a project's file do not count, and why; nothing where all do. */
export function renderIgnored(of: {
  readonly ignored: readonly IgnoredOption[];
  readonly path: string;
  readonly remedy: TrustRemedy | null;
}): string[] {
  const { ignored, path, remedy } = of;
  const changed = remedy?.trust === "another" ? "It has changed since you trusted it. " : "";
  if (ignored.length === 0) return [];
  const byReason = new Map<string, string[]>();
  for (const { key, why } of ignored.slice(0, SHOWN)) byReason.set(why, [...(byReason.get(why) ?? []), key]);
  const keys = [...byReason].map(([why, those]) => `${those.join(", ")} (${why})`);
  const more = ignored.length > SHOWN ? [`and ${ignored.length - SHOWN} more`] : [];
  const what = `${plainName(path)} comes with the project and may only tighten what you allow; ignored: ${[...keys, ...more].join("; ")}.`;
  if (remedy === null) return [what];
  const entry = `"trustedProjects": { ${toJsonName(remedy.directory)}: "${remedy.sha256}" }`;
  return [`${what} ${changed}If you trust all of it as it is now, add to ${remedy.userFile}: ${entry}`];
}

/** To be copied into JSON, and to be seen as what it is: a folder may bear a name that its repository chose. */
const toJsonName = (path: string): string => {
  const name = plainName(path, LONGEST_PATH);
  return name.startsWith('"') ? name : JSON.stringify(path);
};

/** Tells which options are the project's, so that nobody wonders at them. */
export function renderTightened(tightened: readonly string[], path: string): string[] {
  if (tightened.length === 0) return [];
  const more = tightened.length > SHOWN ? [`and ${tightened.length - SHOWN} more`] : [];
  return [`From ${plainName(path)}: ${[...tightened.slice(0, SHOWN), ...more].join(", ")}.`];
}
