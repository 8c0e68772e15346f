import { requireFrom } from "./require-from.ts";

/*
 * Works around two faults of HTTP/2 in Bun 1.3 (seen in 1.3.14, the runtime inside OpenCode 1.18.33) that hit a reader
 * slower than its sender. Bun never holds the sender back, so unread data fills the heap. And once the sender has
 * finished, Bun closes the stream and drops what is still unread, without an end: a command's output would hang for good.
 * Both are corrected on the streams of the SDK's own gRPC client only. Node has neither fault.
 *
 * Delete this file when the oldest OpenCode we support embeds Bun 1.4 or later, or when the provider contract's tests of
 * slow and late readers (`test/contract/sandbox-output.contract.ts`) pass on Modal without it.
 */

interface Http2Stream {
  readonly readableLength: number;
  readonly readableEnded: boolean;
  push(chunk: Uint8Array | null): boolean;
  destroy(error?: Error): this;
  once(event: "end", listener: () => void): this;
}

interface Call {
  cancelWithStatus(code: number, details: string): void;
}

type CallClass = new (stream: Http2Stream, ...more: unknown[]) => Call;

/** Versions of Bun with the faults. */
export const AFFECTED_BUN = /^1\.3\./;

/** Unread bytes at which a stream's call is cancelled; the SDK then asks again from where its reader is. */
export const UNREAD_LIMIT_BYTES = 16 * 1024 * 1024;
const UNAVAILABLE = 14;
const PATCHED = Symbol.for("opencode-parallel-agents.http2-patched");

/**
 * Replaces the call class of the SDK's gRPC client, once per process; no-op under Node and other versions of Bun.
 * @param bun version of Bun that runs us; undefined under Node
 * @throws Error of `require` when the SDK does not bring `@grpc/grpc-js` as expected
 * @source @grpc/grpc-js 1.14.7: a call is one `Http2SubchannelCall` around one HTTP/2 stream
 */
export function patchBunHttp2(bun: string | undefined = process.versions.bun): void {
  if (bun === undefined || !AFFECTED_BUN.test(bun)) return;
  const grpc = requireFrom("modal", "nice-grpc", "@grpc/grpc-js/build/src/subchannel-call.js") as {
    Http2SubchannelCall: CallClass & { [PATCHED]?: true };
  };
  const Original = grpc.Http2SubchannelCall;
  if (Original[PATCHED]) return;
  grpc.Http2SubchannelCall = class extends Original {
    static override readonly [PATCHED] = true;

    constructor(stream: Http2Stream, ...more: unknown[]) {
      super(stream, ...more);
      closeWhenRead(stream);
      giveUpWhenFull(stream, this);
    }
  };
}

function closeWhenRead(stream: Http2Stream): void {
  const destroy = stream.destroy.bind(stream);
  stream.destroy = (error) => {
    if (error || stream.readableLength === 0 || stream.readableEnded) return destroy(error);
    return stream.once("end", () => destroy());
  };
}

function giveUpWhenFull(stream: Http2Stream, call: Call): void {
  const push = stream.push.bind(stream);
  let isFull = false;
  stream.push = (chunk) => {
    const wantsMore = push(chunk);
    if (!isFull && stream.readableLength > UNREAD_LIMIT_BYTES) {
      isFull = true;
      call.cancelWithStatus(UNAVAILABLE, "The reader lags too far behind.");
    }
    return wantsMore;
  };
}
