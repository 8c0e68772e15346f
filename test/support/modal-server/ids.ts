import { randomBytes } from "node:crypto";

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const pick = (alphabet: string, length: number): string =>
  [...randomBytes(length)].map((byte) => alphabet[byte % alphabet.length]).join("");

/** `im-`, `ap-`, `ta-`, `st-`, `vo-` and, for sandboxes with a GPU, `sb-`: 22 letters and digits. */
export const prefixedId = (prefix: string): string => `${prefix}-${pick(LETTERS, 22)}`;

/** Sandboxes without a GPU have ids of another shape, by which the SDK recognises their backend. */
export const ulid = (): string => `sb-01${pick(CROCKFORD, 24)}`;

/** A token with an expiry that the SDK can read. Its signature is not checked; the server remembers its tokens. */
export function jwt(claims: object, expiresAt: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part({ ...claims, jti: randomBytes(8).toString("hex"), exp: Math.floor(expiresAt / 1000) })}.x`;
}
