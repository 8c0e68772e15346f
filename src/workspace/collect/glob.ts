/*
 * Patterns of paths, matched in time bounded by pattern × path: the names are a stranger's. `*`, `?` and `[a-z]` stay
 * within a name, `**` spans folders, `{a,b}` is either, `\` takes what follows as it is. Names that begin with a dot are
 * names like others. A pattern that matches a folder matches all that is in it.
 */

/** A stretch of a name, or of a path. */
type Part<Unit> = { readonly kind: "any" } | { readonly kind: "one"; readonly takes: (unit: Unit) => boolean };

export interface Glob {
  /** Where to look: the folders before the first sign that is more than itself. Empty = everywhere. */
  readonly root: string;
  matches(path: string): boolean;
}

const MAX_ALTERNATIVES = 256;

/** @throws Error when it has too many alternatives */
export function parseGlob(pattern: string): Glob {
  const parsed = expandBraces(pattern).map((one) => [...one.split("/").map(parseSegment), ANY]);
  return {
    root: rootOf(pattern),
    matches: (path) => {
      const names = path.split("/");
      return parsed.some((parts) => matchParts(parts, names));
    },
  };
}

const ANY = { kind: "any" } as const;

function rootOf(pattern: string): string {
  const segments = pattern.split("/");
  const special = segments.findIndex((segment) => /[*?[{\\]/.test(segment));
  return (special < 0 ? segments : segments.slice(0, special)).join("/");
}

function parseSegment(segment: string): Part<string> {
  if (segment === "**") return ANY;
  const parts = parseName(Array.from(segment));
  return { kind: "one", takes: (name) => matchParts(parts, Array.from(name)) };
}

function parseName(signs: readonly string[]): Part<string>[] {
  const parts: Part<string>[] = [];
  for (let at = 0; at < signs.length; at++) {
    const sign = signs[at] as string;
    const end =
      sign === "[" ? signs.indexOf("]", signs[at + 1] === "!" || signs[at + 1] === "^" ? at + 3 : at + 2) : -1;
    if (sign === "*") parts.push(ANY);
    else if (sign === "?") parts.push({ kind: "one", takes: () => true });
    else if (end > 0) {
      parts.push({ kind: "one", takes: parseClass(signs.slice(at + 1, end)) });
      at = end;
    } else {
      const literal = sign === "\\" && at + 1 < signs.length ? (signs[++at] as string) : sign;
      parts.push({ kind: "one", takes: (one) => one === literal });
    }
  }
  return parts;
}

function parseClass(signs: readonly string[]): (sign: string) => boolean {
  const isNegated = signs[0] === "!" || signs[0] === "^";
  const members = isNegated ? signs.slice(1) : signs;
  const ranges: (readonly [number, number])[] = [];
  for (let at = 0; at < members.length; at++) {
    const from = codeOf(members[at] as string);
    const isRange = members[at + 1] === "-" && at + 2 < members.length;
    ranges.push([from, isRange ? codeOf(members[at + 2] as string) : from]);
    if (isRange) at += 2;
  }
  return (sign) => ranges.some(([from, to]) => from <= codeOf(sign) && codeOf(sign) <= to) !== isNegated;
}

const codeOf = (sign: string): number => sign.codePointAt(0) ?? 0;

/** Goes back to the last `any` only: an earlier one could take no more than that. */
function matchParts<Unit>(parts: readonly Part<Unit>[], units: readonly Unit[]): boolean {
  let [part, unit, lastAny, resume] = [0, 0, -1, 0];
  while (unit < units.length) {
    const now = parts[part];
    if (now?.kind === "any") [lastAny, resume, part] = [part, unit, part + 1];
    else if (now?.takes(units[unit] as Unit)) [part, unit] = [part + 1, unit + 1];
    else if (lastAny >= 0) [part, resume, unit] = [lastAny + 1, resume + 1, resume + 1];
    else return false;
  }
  return parts.slice(part).every(({ kind }) => kind === "any");
}

function expandBraces(pattern: string): string[] {
  let done: string[] = [];
  for (let open = [pattern]; open.length > 0; ) {
    if (open.length + done.length > MAX_ALTERNATIVES)
      throw new Error(`more than ${MAX_ALTERNATIVES} alternatives in ${pattern}`);
    const next = open.map((one) => expandOne(one) ?? one);
    done = [...done, ...next.filter((one) => typeof one === "string")];
    open = next.filter((one) => typeof one !== "string").flat();
  }
  return done;
}

/** Its alternatives by its first pair of braces; null when it has none. */
function expandOne(pattern: string): string[] | null {
  for (let start = 0; start < pattern.length; start++) {
    if (pattern[start] === "\\") start++;
    else if (pattern[start] === "{") {
      const cuts = cutsOf(pattern, start);
      if (!cuts) continue;
      const [before, after] = [pattern.slice(0, start), pattern.slice((cuts.at(-1) as number) + 1)];
      return cuts.slice(1).map((cut, n) => before + pattern.slice((cuts[n] as number) + 1, cut) + after);
    }
  }
  return null;
}

/** Places of a pair of braces and of its commas; null when it is no pair, or has no comma. */
function cutsOf(pattern: string, start: number): number[] | null {
  const cuts = [start];
  for (let at = start + 1, depth = 0; at < pattern.length; at++) {
    if (pattern[at] === "\\") at++;
    else if (pattern[at] === "{") depth++;
    else if (pattern[at] === "," && depth === 0) cuts.push(at);
    else if (pattern[at] === "}" && depth-- === 0) return cuts.length > 1 ? [...cuts, at] : null;
  }
  return null;
}
