import { customAlphabet } from "nanoid";

const lower = customAlphabet("0123456789abcdefghijklmnopqrstuvwxyz", 12);
const base62 = customAlphabet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 14);

/** Makes a new identifier such as `job_k3v9…`, which is safe in file names, git branches and URLs. */
export type IdGenerator = (prefix: string) => string;

export const randomId: IdGenerator = (prefix) => `${prefix}_${lower()}`;

/**
 * Makes IDs in OpenCode's format for messages (`msg`) and parts (`prt`): the prefix, 12 hexadecimal digits of (epoch ms ×
 * 4096 + counter) modulo 2^48, and 14 base-62 characters. OpenCode sorts a session's messages by ID, so create one right
 * before its use.
 * @source OpenCode 1.18.33, verified against the binary
 */
export function createHostIds(now: () => number): (prefix: "msg" | "prt") => string {
  let lastMs = 0;
  let counter = 0;
  return (prefix) => {
    const ms = Math.max(now(), lastMs);
    counter = ms === lastMs ? counter + 1 : 0;
    lastMs = ms;
    const ordinal = (BigInt(ms) * 4096n + BigInt(counter)) % 2n ** 48n;
    return `${prefix}_${ordinal.toString(16).padStart(12, "0")}${base62()}`;
  };
}

const secret = customAlphabet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 43);

/** Text that nobody can guess: 256 bits of the system's randomness, safe in URLs. */
export const createSecret = (): string => secret();
