import type { ModalClient, ModalClientParams } from "modal";
import { withoutSecrets } from "../../shared/without-secrets.ts";

type Middleware = NonNullable<ModalClientParams["grpcMiddleware"]>[number];

export interface SigningClient {
  /** @source Modal JS SDK 0.11.1, ModalClient.authMiddleware: read anew for every call */
  readonly profile: ModalClient["profile"];
}

/**
 * Keeps credentials out of the errors of calls: gRPC's error for a value that cannot be sent shows that value.
 * @param client the one that makes the calls
 */
export const signedCalls = (client: () => SigningClient): Middleware =>
  async function* signedCalls(call, options) {
    try {
      return yield* call.next(call.request, options);
    } catch (error) {
      throw hidden(error, secretsOf(client().profile));
    }
  };

const secretsOf = (profile: SigningClient["profile"]): string[] =>
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
