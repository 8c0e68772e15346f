import { expect, test } from "bun:test";
import type { Liveness } from "../../../src/lab/live-facts.ts";
import type { PoolReader } from "../../../src/lab/pool-reader.ts";
import type { SessionReader } from "../../../src/lab/session-reader.ts";
import { createWatching } from "../../../src/lab/watching.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

test("a file that is locked is not waited for at each look, as views stand still meanwhile", async () => {
  const clock = createFakeClock();
  let isLocked = true;
  let tries = 0;
  const reader = {
    read: () => ({ jobs: [], parts: [], problems: [] }),
    watched: () => null,
    write() {
      tries++;
      if (isLocked) throw new Error("database is locked");
    },
  } as unknown as SessionReader;
  const liveness = { alive: () => ["owner"] } as unknown as Liveness;
  const pool = { version: () => "", read: () => ({}), snapshots: () => [] } as unknown as PoolReader;
  const watching = createWatching({ readerOf: () => reader, pool, liveness, clock });
  const stop = watching.watch("ses_1", 300, () => {});
  await clock.advance(9_000);
  expect(tries).toBeWithin(2, 5);
  isLocked = false;
  const before = tries;
  await clock.advance(4_000);
  expect(tries).toBeGreaterThan(before);
  stop();
});
