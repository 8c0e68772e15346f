import { expect, test } from "bun:test";
import { createProgress, during, type Terminal } from "../../../src/cli/progress.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

function open(terminal: Partial<Terminal> = {}, isQuiet = false) {
  const clock = createFakeClock();
  const written: string[] = [];
  const progress = createProgress(
    { isTTY: true, columns: 40, ...terminal, write: (text) => void written.push(text) },
    clock,
    isQuiet,
  );
  return { clock, written, progress };
}

const CLEAR = "\r\x1b[2K";

test("says what is done after a second, each second, and takes it away at the end", async () => {
  const { clock, written, progress } = open();
  const end = progress.begin("Looking");
  await clock.advance(999);
  expect(written).toEqual([]);
  await clock.advance(1001);
  expect(written).toEqual([`${CLEAR}Looking … 1 s`, `${CLEAR}Looking … 2 s`]);
  end();
  end();
  await clock.advance(5000);
  expect(written).toEqual([`${CLEAR}Looking … 1 s`, `${CLEAR}Looking … 2 s`, CLEAR]);
});

test("says nothing of what takes less than a second", async () => {
  const { clock, written, progress } = open();
  await during(progress, "Looking", async () => {});
  await clock.advance(5000);
  expect(written).toEqual([]);
});

test("counts what else is under way, and goes on with it when the first has ended", async () => {
  const { clock, written, progress } = open();
  const end = progress.begin("One");
  const endOther = progress.begin("Two");
  await clock.advance(1000);
  end();
  await clock.advance(1000);
  expect(written).toEqual([`${CLEAR}One and 1 more … 1 s`, `${CLEAR}Two … 2 s`]);
  endOther();
});

test("fits on one line of the terminal, whatever it is told", async () => {
  const { clock, written, progress } = open();
  progress.begin(`\x1b[31m${"long ".repeat(50)}\nand more`);
  await clock.advance(1000);
  expect(written[0]?.slice(CLEAR.length)).toBe(`${"long ".repeat(7)}lon…`);
});

test("takes a terminal that does not say its width for one of 80 columns", async () => {
  const { clock, written, progress } = open({ columns: 0 });
  progress.begin("Asking OpenCode for its version");
  await clock.advance(1000);
  expect(written).toEqual([`${CLEAR}Asking OpenCode for its version … 1 s`]);
});

test.each([
  ["where standard error is a file or a pipe", { isTTY: false }, false],
  ["with --json", {}, true],
])("says nothing %s", async (_, terminal, isQuiet) => {
  const { clock, written, progress } = open(terminal, isQuiet);
  progress.begin("Looking");
  await clock.advance(5000);
  expect(written).toEqual([]);
});

test("takes the line away when what was done fails", async () => {
  const { clock, written, progress } = open();
  const done = during(progress, "Looking", async () => {
    await clock.advance(1000);
    throw new Error("no");
  });
  expect(await done.catch((error: Error) => error.message)).toBe("no");
  expect(written.at(-1)).toBe(CLEAR);
});
