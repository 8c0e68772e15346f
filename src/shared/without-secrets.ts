/** Shorter values may be parts of ordinary words. */
const MIN_CHARS = 8;

/** A text with "[hidden]" in place of each of these values. */
export const withoutSecrets = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter((secret) => secret.length >= MIN_CHARS)
    .reduce((rest, secret) => rest.replaceAll(secret, "[hidden]"), text);
