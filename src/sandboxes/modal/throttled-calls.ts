import type { ModalClientParams } from "modal";
import { withRetryAfter } from "./modal-error.ts";

type Middleware = NonNullable<ModalClientParams["grpcMiddleware"]>[number];
type OnTrailer = NonNullable<Parameters<Middleware>[1]["onTrailer"]>;

const CREATION = /\/SandboxCreate(V2)?$/;
/** Where the server says how long to wait before a call is made again. */
const STATUS_DETAILS = "grpc-status-details-bin";
const POLICY = "modal.client.RPCRetryPolicy";
const LONGEST_WAIT_S = 3_600;

/**
 * Notes on the error of a call how long Modal asks to wait before the next, which the SDK keeps to itself. The SDK obeys for
 * most calls. A throttled creation it does not repeat: that would go past the limiter, so `pastRateLimit` does it.
 * @source Modal JS SDK 0.11.1, ModalClient.retryMiddleware: it keeps the same bytes that `onTrailer` is shown, and decodes
 * them after that
 */
export const throttledCalls: Middleware = async function* throttledCalls(call, options) {
  if (call.requestStream || call.responseStream) return yield* call.next(call.request, options);
  let asked: number | null = null;
  const onTrailer: OnTrailer = (trailer) => {
    const details = trailer.get(STATUS_DETAILS);
    asked = retryAfterMs(details);
    if (asked !== null && CREATION.test(call.method.path)) (details as Uint8Array).fill(0);
    options.onTrailer?.(trailer);
  };
  try {
    return yield* call.next(call.request, { ...options, onTrailer });
  } catch (error) {
    throw asked === null ? error : withRetryAfter(error, asked);
  }
};

/** @param details an encoded google.rpc.Status; the SDK does not export what decodes it. @returns null = it asks nothing */
export function retryAfterMs(details: string | Uint8Array | undefined): number | null {
  if (details === undefined || typeof details === "string") return null;
  const bytes = Buffer.from(details);
  const at = bytes.indexOf(POLICY);
  if (at < 0) return null;
  // Any{type_url = 1, value = 2} with RPCRetryPolicy{float retry_after_secs = 1} as its value; a zero is left out.
  const value = at + POLICY.length;
  const isGiven = bytes.length >= value + 7 && bytes[value] === 0x12 && bytes[value + 2] === 0x0d;
  const seconds = isGiven ? bytes.readFloatLE(value + 3) : 0;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), LONGEST_WAIT_S) * 1000 : 0;
}
