import { expect, test } from "bun:test";
import { tableOf } from "../../../../src/config/prices.ts";
import { createPriceList } from "../../../../src/jobs/sandbox/price-list.ts";
import { renderPrices } from "../../../../src/prompt/prices.ts";
import type { AccountPrices, SandboxProvider } from "../../../../src/sandboxes/port.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const DAY = 24 * 3_600_000;

function listOf(answer: () => AccountPrices | null, own = {}) {
  const clock = createFakeClock();
  let asked = 0;
  const provider = {
    name: "modal",
    async prices() {
      asked++;
      return answer();
    },
  } as unknown as SandboxProvider;
  const list = createPriceList({ options: { prices: own }, clock, log: () => {} });
  return { clock, list, asked: () => asked, read: () => list.read(provider) };
}

test("the account's prices count once they are read, the user's own before them, and are read again a day later", async () => {
  const { clock, list, asked, read } = listOf(() => ({ gpus: { H100: 3, T4: 0.5 }, cpuCore: 0.1 }), { T4: 9 });
  expect(list.of("modal").gpus).toMatchObject({ H100: tableOf("modal").gpus.H100 as number, T4: 9 });
  await Promise.all([read(), read()]);
  expect(list.of("modal")).toMatchObject({ gpus: { H100: 3, T4: 9 }, cpuCore: 0.1 });
  expect(list.sourceOf("modal")).toEqual({ readAt: clock.now(), refused: [] });
  expect(asked()).toBe(1);
  await clock.advance(DAY + 1);
  await read();
  expect(asked()).toBe(2);
});

test("an account that does not tell, or tells what cannot be true, leaves the table in place, and is asked again", async () => {
  const failing = listOf(() => {
    throw new Error("UNIMPLEMENTED");
  });
  await failing.read();
  await failing.read();
  expect([failing.asked(), failing.list.of("modal")]).toEqual([1, tableOf("modal")]);
  await failing.clock.advance(11 * 60_000);
  await failing.read();
  expect(failing.asked()).toBe(2);

  const absurd = listOf(() => ({ gpus: { H100: 0 } }));
  await absurd.read();
  expect(absurd.list.of("modal")).toEqual(tableOf("modal"));
  expect(absurd.list.sourceOf("modal")).toEqual({ readAt: null, refused: ["H100 $0"] });
});

test("a status says which prices are used", () => {
  const at = Date.UTC(2026, 10, 27, 12, 3);
  expect(renderPrices({ readAt: at, refused: [] }, {})).toStartWith(
    "Prices: your account's, read 2026-11-27 12:03 UTC.",
  );
  expect(renderPrices({ readAt: null, refused: ["H100 $0"] }, { T4: 1 })).toMatch(
    /^Prices: built-in table of October 2026; yours \(option "prices"\) for T4\. .*price of H100 \$0 an hour cannot be true/,
  );
});
