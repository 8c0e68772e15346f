import { expect, test } from "bun:test";
import { OutputQueue } from "../../../../src/sandboxes/modal/output-queue.ts";
import { createWorkClock } from "../../../support/work-clock.ts";

test("a reader that takes long over each piece leaves the event loop turns in between", async () => {
  const turns: number[] = [];
  let pieces = 0;
  const clock = createWorkClock(() => turns.push(pieces));
  const queue = new OutputQueue(() => {}, clock);
  for (let i = 0; i < 8; i++) queue.push({ stream: "stdout", bytes: new Uint8Array(10) });
  queue.end();
  for await (const _ of queue) {
    pieces++;
    clock.work(4);
  }
  expect(turns).toEqual([3, 6]);
});
