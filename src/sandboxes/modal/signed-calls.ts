import type { ModalClient, ModalClientParams } from "modal";
import { withoutSecrets } from "../../shared/without-secrets.ts";

type Middleware = NonNullable<ModalClientParams["grpcMiddleware"]>[number];
type Profile = ModalClient["profile"];

/*
 * A refusal of who makes a call need not be the end: the user may have renewed the credentials since the client was made, or
 * the token for calls, which the SDK got with them, may be over although the SDK takes it for valid, as after this machine
 * slept.
 */

/** @source Modal JS SDK 0.11.1: `authMiddleware` reads `profile` at every call; `close` only drops the token for calls */
export interface SigningClient {
  readonly profile: Profile;
  close(): void;
}

export interface Signing {
  /** The one that makes the calls. */
  client(): SigningClient;
  /** Gives the client's profile credentials that have changed. @returns whether there were any */
  renew(profile: Profile): boolean;
}

const UNAUTHENTICATED = 16;
const TOKEN_FOR_CALLS = "/modal.client.ModalClient/AuthTokenGet";

/**
 * Makes a call once more, with a new token for calls and the user's present credentials, where Modal refuses who makes it.
 * Keeps credentials out of the errors of calls: gRPC's error for a value that cannot be sent shows that value.
 */
export function signedCalls({ client, renew }: Signing): Middleware {
  let signings = 0;

  /** @param before how often it had signed in when the call began @returns whether the call may be made again */
  function signInAgain(error: unknown, before: number): boolean {
    const { code, path } = (error ?? {}) as { code?: unknown; path?: unknown };
    if (code !== UNAUTHENTICATED) return false;
    if (signings !== before) return true; // another call has done it
    if (!renew(client().profile) && path === TOKEN_FOR_CALLS) return false;
    client().close();
    signings += 1;
    return true;
  }

  return async function* signedCalls(call, options) {
    const before = signings;
    const isRepeatable = !call.requestStream && call.method.path !== TOKEN_FOR_CALLS;
    for (let isFirst = true; ; isFirst = false) {
      let hasBegun = false;
      try {
        if (!call.responseStream) return yield* call.next(call.request, options);
        for await (const reply of call.next(call.request, options)) {
          hasBegun = true;
          yield reply;
        }
        return;
      } catch (error) {
        if (isFirst && isRepeatable && !hasBegun && signInAgain(error, before)) continue;
        throw hidden(error, secretsOf(client().profile));
      }
    }
  };
}

const secretsOf = (profile: Profile): string[] =>
  [
    profile.tokenId,
    profile.tokenSecret,
    profile.oauthRefreshToken,
    profile.oauthClientSecret,
    profile.oauthJwtKey,
  ].filter((value) => value !== undefined);

/** The error itself, with its texts changed: its class and status say what it means. */
function hidden(error: unknown, secrets: readonly string[]): unknown {
  if (!(error instanceof Error)) return error;
  const texts = error as unknown as Record<string, unknown>;
  for (const key of ["message", "details", "stack"]) {
    const text = texts[key];
    if (typeof text !== "string") continue;
    const shown = withoutSecrets(text, secrets);
    if (shown !== text) texts[key] = shown;
  }
  return error;
}
