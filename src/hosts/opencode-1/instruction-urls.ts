import { systemClock } from "../../shared/clock.ts";
import { within } from "../../shared/time-limit.ts";

/** As long as OpenCode waits for an address. */
const LIMIT_MS = 5_000;
const MOST_BYTES = 1024 * 1024;

export const isAddress = (entry: string): boolean => /^https?:\/\//.test(entry);

/**
 * Instructions from an address.
 * @param isOfUser whether the user named it; one that the project names must be public: this machine and its network are
 * not the repository's to read from
 * @returns their name, and their text or why they cannot be had
 */
export async function readAddress(
  address: string,
  isOfUser: boolean,
): Promise<[name: string, { why: string } | string]> {
  if (!URL.canParse(address)) return [address.slice(0, 100), { why: "is no address" }];
  const url = new URL(address);
  const name = `${url.host}${url.pathname}`; // without a password or key
  if (!isOfUser && !isPublic(url))
    return [name, { why: "is not public; name it in your own configuration of OpenCode if jobs should have it" }];
  const stop = new AbortController();
  try {
    const reading = fetchText(url, isOfUser ? "follow" : "error", stop.signal);
    return [name, await within(reading, { clock: systemClock, limitMs: LIMIT_MS, doing: `reading ${name}` })];
  } catch (error) {
    return [name, { why: `could not be read (${(error as Error).message})` }];
  } finally {
    stop.abort();
  }
}

async function fetchText(url: URL, redirect: "follow" | "error", signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal, redirect });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > MOST_BYTES) throw new Error("it is larger than 1 MiB");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** A name on the internet, over a connection that proves it; no number and no name of a local network. */
const isPublic = ({ protocol, hostname }: URL): boolean =>
  protocol === "https:" &&
  /\.[a-z][a-z0-9-]*\.?$/i.test(hostname) &&
  !/\.(localhost|local|internal|lan|home|arpa)\.?$/i.test(hostname);
