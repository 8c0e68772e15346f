import { readFileSync } from "node:fs";
import type { Options } from "../../config/schema.ts";
import { askAccount } from "../../sandboxes/modal/account.ts";
import { type Credentials, findCredentials } from "../../sandboxes/modal/credentials.ts";
import { toLimits } from "../../sandboxes/modal/limits.ts";
import type { Clock } from "../../shared/clock.ts";
import type { CredentialFacts, Reach } from "./checks/credentials.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** How long Modal may take to answer. */
const LIMIT_MS = 15_000;

export async function readCredentials(options: Options, env: Env, clock: Clock): Promise<CredentialFacts> {
  const found = findCredentials(env, readIfThere);
  const facts = { wanted: options.provider, hasOwnServer: Boolean(env.MODAL_SERVER_URL) };
  if (found.kind !== "found") return { ...facts, found, reach: null };
  const { credentials } = found;
  const reach = options.provider === "local" ? null : await reachOf(credentials, options, clock);
  return { ...facts, found: { kind: "found", source: credentials.source }, reach };
}

/** Tokens that are in the file of `modal setup`, so that no message shows them. */
export function tokensIn(env: Env): string[] {
  const found = findCredentials(env, readIfThere);
  return found.kind === "found" && found.credentials.kind === "token"
    ? [found.credentials.tokenId, found.credentials.tokenSecret]
    : [];
}

async function reachOf(credentials: Credentials, options: Options, clock: Clock): Promise<Reach> {
  const since = clock.now();
  const limits = { ...toLimits(options.modal), callMs: LIMIT_MS };
  try {
    const workspace = await askAccount({ options: options.modal, credentials, clock, log: () => {}, limits });
    return { kind: "answered", workspace, inMs: Math.max(0, clock.now() - since) };
  } catch (error) {
    return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
