/** Profiles by name, each with its strings and switches. */
export type ModalProfiles = Readonly<Record<string, Readonly<Record<string, string | boolean>>>>;

const TABLE = /^\[\s*(?:"([^"\\]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\]$/;
const PAIR = /^([A-Za-z0-9_-]+)\s*=\s*(.*)$/;

/**
 * The file of `modal setup`: tables of profiles with strings and booleans. Other kinds of values are passed over.
 * @returns null when the text is not of that form
 */
export function parseModalToml(text: string): ModalProfiles | null {
  const profiles: Record<string, Record<string, string | boolean>> = {};
  let profile: Record<string, string | boolean> | null = null;
  for (const raw of text.split(/\r?\n/)) {
    const line = withoutComment(raw).trim();
    if (line === "") continue;
    const table = TABLE.exec(line);
    const pair = table ? null : PAIR.exec(line);
    if (table) {
      const name = table[1] ?? table[2] ?? table[3] ?? "";
      profile = Object.hasOwn(profiles, name) ? (profiles[name] ?? {}) : {};
      Object.defineProperty(profiles, name, { value: profile, enumerable: true, configurable: true, writable: true });
    } else if (pair) {
      const value = readValue(pair[2] ?? "");
      if (value === undefined) return null;
      if (profile && value !== null) profile[pair[1] ?? ""] = value;
    } else return null;
  }
  return profiles;
}

/** undefined: no value of TOML; null: one we have no use for. */
function readValue(text: string): string | boolean | null | undefined {
  if (text === "true" || text === "false") return text === "true";
  if (/^'[^']*'$/.test(text)) return text.slice(1, -1);
  if (/^"(?:[^"\\]|\\.)*"$/.test(text)) {
    try {
      return JSON.parse(text) as string;
    } catch {
      return undefined;
    }
  }
  return /^[-+0-9.:TZ_eE]+$/.test(text) ? null : undefined;
}

function withoutComment(line: string): string {
  const [kept = ""] = /^(?:[^#"']|"(?:[^"\\]|\\.)*"|'[^']*')*/.exec(line) ?? [];
  // An unclosed quote is left for the caller to refuse.
  return line.charAt(kept.length) === "#" ? kept : line;
}
