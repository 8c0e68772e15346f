import { dirname } from "node:path";
import type { LentPath } from "../sandboxes/port.ts";
import { oneLine } from "../shared/plain-text.ts";

const SHOWN = 8;

/** One line: folders by what of them is lent, `/home/ada/.pyenv/{bin,shims}`; all of it is in the metadata. */
export function renderLent(lent: readonly LentPath[]): string {
  if (lent.length === 0) return "";
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
  return `Lent to local sandboxes, read-only: ${oneLine(words.slice(0, SHOWN).join(", "), 2000)}${left}.`;
}
