/** Where a key is named as one. Its digit tells it from a word, as in "API key: missing". */
const NAMED =
  /\b((?:api[ _-]?key|key|token|secret|credential)s?(?: (?:provided|given|used|supplied|is|was))?["']?\s*[:=]\s*["'`]?)(?=[^\s"'`,;]*\d)(?=[^\s"'`,;]*[a-z])[^\s"'`,;]{8,}/gi;
/** Beginnings by which providers mark their keys, and the forms of tokens. */
const MARKED = [
  /\b(?:sk|pk|rk|gsk|csk|xai|hf|r8|nvapi|pplx|gh[opsu]|github_pat|glpat|ak|as)[-_](?=[\w*-]*[\d*])[\w*-]{8,}/g,
  /\bAIza[\w-]{20,}/g,
  /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g,
  /(?<=\bBearer\s)[\w.~+/=*-]{8,}/gi,
];
/** A word that nobody speaks. */
const UNSPOKEN = /\b(?=\w*\d)(?=\w*[a-z])[a-z\d_]{16,}\b/gi;

const HIDDEN = "(hidden)";

/**
 * A provider's words without the keys that they quote: "Incorrect API key provided: sk-…".
 * @param isAboutKey whether the provider refused the key, so that any word that looks like one may be it
 */
export function withoutKeys(text: string, isAboutKey = false): string {
  const known = [...MARKED, ...(isAboutKey ? [UNSPOKEN] : [])];
  const marked = known.reduce((rest, pattern) => rest.replace(pattern, HIDDEN), text);
  return marked.replace(NAMED, (whole, before: string) => `${before}${HIDDEN}${whole.endsWith(".") ? "." : ""}`);
}
