import { dirname } from "node:path";
import type { LentPaths } from "../sandboxes/lent-paths.ts";
import { oneLine } from "../shared/plain-text.ts";

const SHOWN = 8;
const SHOWN_REFUSED = 3;

/** Lent paths on one line, grouped by folder: `/home/ada/.pyenv/{bin,shims}`. The metadata has all of them. */
export function renderLent({ lent, refused }: LentPaths): string {
  const heldBack = refused.slice(0, SHOWN_REFUSED).map(({ path, why }) => `${oneLine(path)} (${why})`);
  const more = refused.length > SHOWN_REFUSED ? `, … ${refused.length - SHOWN_REFUSED} more` : "";
  const notLent = refused.length === 0 ? "" : `Not lent: ${heldBack.join(", ")}${more}.`;
  if (lent.length === 0) return notLent;
  const folders = new Map<string, string[]>();
  for (const { path } of lent) {
    const folder = dirname(path);
    folders.set(folder, [...(folders.get(folder) ?? []), path.slice(folder.length).replace(/^\//, "")]);
  }
  const words = [...folders].map(([folder, names]) => {
    const shown = names.length > SHOWN ? [...names.slice(0, SHOWN), `… ${names.length - SHOWN} more`] : names;
    return `${folder === "/" ? "" : folder}/${shown.length === 1 ? shown[0] : `{${shown.join(",")}}`}`;
  });
  const left = words.length > SHOWN ? `, … ${words.length - SHOWN} more folders` : "";
  return `Lent to local sandboxes, read-only: ${oneLine(words.slice(0, SHOWN).join(", "), 2000)}${left}.${notLent && ` ${notLent}`}`;
}
