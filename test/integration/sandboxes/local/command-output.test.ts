import { expect, test } from "bun:test";
import { closeSync, writeSync } from "node:fs";
import { CommandOutput } from "../../../../src/sandboxes/local/command-output.ts";
import { FifoPool } from "../../../../src/sandboxes/local/fifo-pool.ts";
import { createFakeClock, settle } from "../../../support/fake-clock.ts";
import { createWorkClock } from "../../../support/work-clock.ts";

/** The output of a command that has written a line and then nothing for ten seconds, while it was read. */
async function quietOutput() {
  const pauses: number[] = [];
  const fake = createFakeClock();
  const clock = {
    now: fake.now,
    after(ms: number, callback: () => void) {
      pauses.push(ms);
      return fake.after(ms, callback);
    },
  };
  const fifos = new FifoPool();
  const [stdout, stderr] = await fifos.takePair();
  const parts = {
    stdout: stdout.readEnd,
    stderr: stderr.readEnd,
    log: null,
    clock,
    lingering: new Set<CommandOutput>(),
  };
  const output = new CommandOutput(parts);
  const read: string[] = [];
  const reading = (async () => {
    for await (const { bytes } of output) read.push(Buffer.from(bytes).toString());
  })();
  const write = (text: string) => writeSync(stdout.writeEnd, text);
  write("ready\n");
  await fake.advance(10_000);
  return {
    clock: fake,
    output,
    read,
    pauses,
    write,
    async end() {
      for (const { writeEnd } of [stdout, stderr]) closeSync(writeEnd);
      output.finish();
      await reading;
      output.close();
      fifos.close();
    },
  };
}

test("a reader that takes long over each piece leaves the event loop turns in between", async () => {
  const fifos = new FifoPool();
  const [stdout, stderr] = await fifos.takePair();
  const turns: number[] = [];
  let pieces = 0;
  const clock = createWorkClock(() => turns.push(pieces));
  const [fds, lingering] = [{ stdout: stdout.readEnd, stderr: stderr.readEnd }, new Set<CommandOutput>()];
  const output = new CommandOutput({ ...fds, log: null, clock, lingering });
  const write = () => writeSync(stdout.writeEnd, "y\n");
  write();
  for await (const _ of output) {
    clock.work(4);
    if (++pieces === 8) break;
    write();
  }
  expect(turns.slice(0, 2)).toEqual([3, 6]);
  for (const { writeEnd } of [stdout, stderr]) closeSync(writeEnd);
  output.close();
  fifos.close();
});

test("a command that has long been quiet is looked at twice a second at most", async () => {
  const { read, pauses, end } = await quietOutput();
  expect(read).toEqual(["ready\n"]);
  expect(pauses.at(-1)).toBeGreaterThanOrEqual(512);
  await end();
});

test("the answer of a quiet command to its input is looked for at once", async () => {
  const { clock, output, read, pauses, write, end } = await quietOutput();
  output.expectAnswer();
  await settle();
  expect(pauses.at(-1)).toBeLessThan(8);
  write("an answer\n");
  await clock.advance(8);
  await settle();
  expect(read).toEqual(["ready\n", "an answer\n"]);
  await end();
});

test("what another process still writes when the command has ended is waited for half a second, not for longer", async () => {
  const { clock, output, read, write, end } = await quietOutput();
  output.finish();
  await clock.advance(400);
  write("the last line, from tee\n");
  await clock.advance(200);
  write("of a server\n");
  await clock.advance(2_000);
  expect(read).toEqual(["ready\n", "the last line, from tee\n"]);
  await end();
});
