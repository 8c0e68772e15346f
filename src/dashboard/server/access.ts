import { createHash, timingSafeEqual } from "node:crypto";

/*
 * Who may talk to the dashboard. Any page that the user's browser shows, and any program of any user of the machine, can
 * reach its port, so:
 * - the request must name this server as its host: a foreign name that was made to resolve to 127.0.0.1 is refused;
 * - a page that asks must be ours: a browser says where the page comes from when another page asks;
 * - the request must have the token, which only the user was told.
 */

export interface AskedFor {
  /** The path with its query, as it was sent. */
  readonly target: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
}

export interface AccessRule {
  readonly port: number;
  readonly token: string;
}

export type Access =
  | { readonly kind: "allowed" }
  | { readonly kind: "refused"; readonly status: 401 | 403; readonly message: string };

export function decideAccess({ target, host, origin, authorization }: AskedFor, { port, token }: AccessRule): Access {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (host === undefined || !hosts.includes(host.toLowerCase()))
    return refused(403, `This is not the host of the request; the dashboard answers as ${hosts[0]} only.`);
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`)
    return refused(403, "Another page asked for this; the dashboard answers its own page only.");
  if (isToken(givenToken(target, authorization), token)) return { kind: "allowed" };
  return refused(
    401,
    "The token is missing or wrong; open the whole address that `opencode-parallel-agents dashboard` printed.",
  );
}

const refused = (status: 401 | 403, message: string): Access => ({ kind: "refused", status, message });

const BEARER = /^Bearer (\S+)$/i;

/** A header has precedence, so that a wrong one is never made good by the address. */
const givenToken = (target: string, authorization: string | undefined): string | null =>
  authorization === undefined ? parametersOf(target).get("token") : (BEARER.exec(authorization.trim())?.[1] ?? null);

/** How long the comparison takes tells nothing about the token. */
const isToken = (given: string | null, token: string): boolean =>
  given !== null && timingSafeEqual(digest(given), digest(token));

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** The path of a request without its query. Never read as an address: "//name/path" would name another host. */
export const pathOf = (target: string): string => target.split("?", 1)[0] as string;

export const parametersOf = (target: string): URLSearchParams =>
  new URLSearchParams(target.slice(pathOf(target).length));
