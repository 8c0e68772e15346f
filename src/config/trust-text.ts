import { plainName } from "../shared/plain-text.ts";
import type { IgnoredOption } from "./trust.ts";

const SHOWN = 40;
const MAX_PATH = 4_096;

/** What a user needs to make all of the project's file count. */
export interface TrustRemedy {
  /** The project's directory, links resolved. */
  readonly directory: string;
  readonly sha256: string;
  readonly userFile: string;
  readonly trust: "none" | "another";
}

/** Says which options of a project's file are ignored, and why; empty if none is. */
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

/** A path to copy into JSON, with invisible characters escaped: a repository may have chosen the name of a folder. */
const toJsonName = (path: string): string => {
  const name = plainName(path, MAX_PATH);
  return name.startsWith('"') ? name : JSON.stringify(path);
};

/** Says which options the project's file has tightened; empty if none. */
export function renderTightened(tightened: readonly string[], path: string): string[] {
  if (tightened.length === 0) return [];
  const more = tightened.length > SHOWN ? [`and ${tightened.length - SHOWN} more`] : [];
  return [`From ${plainName(path)}: ${[...tightened.slice(0, SHOWN), ...more].join(", ")}.`];
}
