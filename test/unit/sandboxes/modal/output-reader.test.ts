import { expect, test } from "bun:test";
import { OutputQueue } from "../../../../src/sandboxes/modal/output-queue.ts";
import { openOutput } from "../../../../src/sandboxes/modal/output-reader.ts";
import { createFakeClock, settle } from "../../../support/fake-clock.ts";

type Streams = Parameters<typeof openOutput>[0];

/**
 * Streams as the SDK makes them: what is called does not end what calls it, so its timer is cleared only when a read of it
 * finds the end, or fails because it was aborted.
 * @param next a piece of the output that is here already; null = there is none, and a read waits
 */
function sdkStream(next: () => Uint8Array | null) {
  const seen = { hasTimer: false, isCancelled: false };
  const abort = new AbortController();
  const aborted = new Promise<never>((_, reject) =>
    abort.signal.addEventListener("abort", () => reject(new Error("aborted"))),
  );
  aborted.catch(() => {});
  async function* timed(): AsyncGenerator<Uint8Array> {
    seen.hasTimer = true;
    try {
      for (;;) {
        await settle();
        yield next() ?? (await aborted);
      }
    } finally {
      seen.hasTimer = false;
    }
  }
  async function* retried(): AsyncGenerator<Uint8Array> {
    const inner = timed();
    for (;;) yield (await inner.next()).value as Uint8Array;
  }
  const outer = retried();
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        controller.enqueue((await outer.next()).value as Uint8Array);
      },
      async cancel() {
        seen.isCancelled = true;
        abort.abort();
        await outer.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, seen };
}

const never = () => null;
const piece = new Uint8Array(10);

function open(stdout: () => Uint8Array | null) {
  const [out, err] = [sdkStream(stdout), sdkStream(never)];
  const clock = createFakeClock();
  const streams = [out.stream, err.stream] as unknown as Streams;
  const output = openOutput(streams, "id", new OutputQueue(() => {}, clock), clock);
  return { clock, output, seen: [out.seen, err.seen] };
}

test("streams that bring nothing are cancelled soon after the output's end, and leave no timer of the SDK", async () => {
  const { clock, output, seen } = open(never);
  await settle();
  output.stop();
  await clock.advance(300);
  expect(seen).toEqual([
    { hasTimer: false, isCancelled: true },
    { hasTimer: false, isCancelled: true },
  ]);
});

test("a stream that goes on is read until it is silent, because cancelled beside output that is here it leaves a timer", async () => {
  let left = 2000;
  const { clock, output, seen } = open(() => {
    left -= 1;
    return left >= 0 ? piece : null;
  });
  await settle();
  output.stop();
  for (let ms = 0; ms < 400; ms += 50) await clock.advance(50);
  expect(left).toBeGreaterThan(0);
  expect(seen[0]).toEqual({ hasTimer: true, isCancelled: false });
  while (left > 0) await settle();
  await clock.advance(300);
  expect(seen[0]).toEqual({ hasTimer: false, isCancelled: true });
});

test("a stream that never falls silent is cancelled in the end", async () => {
  const { clock, output, seen } = open(() => piece);
  await settle();
  output.stop();
  for (let ms = 0; ms < 6000; ms += 50) await clock.advance(50);
  expect(seen[0]?.isCancelled).toBe(true);
});
