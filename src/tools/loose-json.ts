/** JSON as models write it: fenced as in Markdown, encoded twice, with raw line breaks in its texts, and with a comma behind the last element. */

const FENCED = /^\s*```\w*\s*\n(.*)\n\s*```\s*$/s;

/** @returns undefined for what is no JSON even so */
export function parseJson(text: string): unknown {
  const bare = FENCED.exec(text)?.[1] ?? text;
  const value = parseStrictly(bare) ?? (looksLikeJson(bare) ? parseStrictly(mend(bare)) : undefined);
  return typeof value === "string" && looksLikeJson(value) ? (parseJson(value) ?? value) : value;
}

/** Why a text that begins as JSON is none; null for any other text. */
export function whyNoJson(text: string): string | null {
  if (!looksLikeJson(text)) return null;
  try {
    JSON.parse(mend(text));
    return null;
  } catch (error) {
    return (error as Error).message.replace(/^JSON Parse error: /, "");
  }
}

/** A list or an object. */
const looksLikeJson = (text: string): boolean => /^\s*[[{]/.test(text);

function parseStrictly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Texts, and commas with nothing but a closing bracket behind them. */
const TEXT_OR_LAST_COMMA = /"(?:[^"\\]|\\.)*"|,(?=\s*[\]}])/gs;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it matches
const CONTROLS = /[\0-\x1f]/g;

const mend = (json: string): string =>
  json.replace(TEXT_OR_LAST_COMMA, (found) =>
    found === "," ? "" : found.replace(CONTROLS, (control) => JSON.stringify(control).slice(1, -1)),
  );
