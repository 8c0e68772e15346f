/*
 * Path patterns. `*` and `?` stay within one name and `**` spans folders; every other character stands for itself, and a
 * name that begins with a dot is a name like any other. A pattern that matches a folder matches everything below it.
 * Paths come from jobs, so matching takes no longer than pattern length × path length. A regular expression would not
 * keep to that.
 */

export interface Glob {
  /** Every match is this path or lies below it: the names before the first wildcard, joined; "" = anywhere. */
  readonly root: string;
  matches(path: string): boolean;
}

export function parseGlob(pattern: string): Glob {
  const names = pattern.split("/");
  const wild = names.findIndex((name) => /[*?]/.test(name));
  const parts: readonly Part[] = [...names.map(parseName), ANY];
  return {
    root: (wild < 0 ? names : names.slice(0, wild)).join("/"),
    matches: (path) => matchParts(parts, path.split("/")),
  };
}

/** Any number of units, or exactly one that passes the test. A unit is a name of a path, or a character of a name. */
type Part = typeof ANY | ((unit: string) => boolean);

const ANY = "any number";

function parseName(name: string): Part {
  if (name === "**") return ANY;
  const parts = Array.from(name, (character): Part => {
    if (character === "*") return ANY;
    return character === "?" ? () => true : (unit) => unit === character;
  });
  return (unit) => matchParts(parts, Array.from(unit));
}

/** Backtracks to the last `ANY` only: an earlier one taking more could not reach anything that the last one cannot. */
function matchParts(parts: readonly Part[], units: readonly string[]): boolean {
  let [part, unit, lastAny, resume] = [0, 0, -1, 0];
  while (unit < units.length) {
    const test = parts[part];
    if (test === ANY) [lastAny, resume, part] = [part, unit, part + 1];
    else if (test?.(units[unit] as string)) [part, unit] = [part + 1, unit + 1];
    else if (lastAny >= 0) [part, resume, unit] = [lastAny + 1, resume + 1, resume + 1];
    else return false;
  }
  return parts.slice(part).every((rest) => rest === ANY);
}
