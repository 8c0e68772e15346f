import { createRequire } from "node:module";

/*
 * HTTP/2 of Bun 1.3.14, the runtime inside OpenCode, is not safe for a reader that lags. It never holds the sender back,
 * so that what nobody reads yet fills the heap; and when the sender has finished it closes the stream with what is still
 * unread in it, which then never comes, nor does an end: a command's output would hang for good. Both are mended here,
 * on the streams of our own gRPC alone. Node does neither.
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

/** More than this unread on one stream, and its call is given up; the SDK asks again from where its reader is. */
export const UNREAD_LIMIT_BYTES = 16 * 1024 * 1024;
const UNAVAILABLE = 14;
const MENDED = Symbol.for("opencode-parallel-agents.http2-mended");

/**
 * Mends the gRPC that the SDK will use, once, where it needs to be. Throws when it is not found where it should be.
 * @source @grpc/grpc-js 1.14.7: a call is one `Http2SubchannelCall` around one HTTP/2 stream
 */
export function mendHttp2(runtime: string | undefined = process.versions.bun): void {
  if (runtime === undefined) return;
  const grpc = requireFrom("modal", "nice-grpc", "@grpc/grpc-js/build/src/subchannel-call.js") as {
    Http2SubchannelCall: CallClass & { [MENDED]?: true };
  };
  const Original = grpc.Http2SubchannelCall;
  if (Original[MENDED]) return;
  grpc.Http2SubchannelCall = class extends Original {
    static override readonly [MENDED] = true;

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

/** A module as the last but one of `names` sees it, which is how each of them sees the next. */
function requireFrom(...names: readonly string[]): unknown {
  let from = createRequire(import.meta.url);
  for (const name of names.slice(0, -1)) from = createRequire(from.resolve(name));
  return from(names.at(-1) as string);
}
