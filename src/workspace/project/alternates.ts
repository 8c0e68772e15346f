import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fromText, toText } from "../paths.ts";

/** Far more than clones of clones have. */
const MAX_PLACES = 100;

/**
 * The folders of objects that a repository finds its objects in: its own, and those that it borrows from, one after
 * another. Git follows five such steps, and ours to the user's repository would be one more.
 * @param objects absolute
 * @source gitrepository-layout(5), objects/info/alternates: relative lines count from the folder of objects
 */
export async function borrowedPlaces(objects: string): Promise<string[]> {
  const places = [objects];
  for (let at = 0; at < places.length && places.length < MAX_PLACES; at++) {
    const place = places[at] as string;
    const text = await readFile(join(place, "info/alternates"), "utf8").catch(() => "");
    for (const line of text.split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      const next = resolve(place, unquoted(line));
      if (!places.includes(next)) places.push(next);
    }
  }
  return places;
}

/** git reads the file line by line, and a quoted line as a C string. */
export const quoteAlternate = (path: string): string => (/["\n\\]|^#/.test(path) ? JSON.stringify(path) : path);

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };

function unquoted(line: string): string {
  if (!/^".*"$/.test(line)) return line;
  const inside = fromText(line.slice(1, -1)).replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8) & 0xff) : (ESCAPES[code] ?? code),
  );
  return toText(inside);
}
