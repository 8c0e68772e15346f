import { expect, test } from "bun:test";
import { KeptNetwork } from "../../../../src/sandboxes/local/bubblewrap/kept-network.ts";
import { createFakeClock, settle } from "../../../support/fake-clock.ts";

const ADDRESSES = new Set(["192.0.2.2/32"]);

function world() {
  const clock = createFakeClock();
  const said: string[] = [];
  const state = { block: null as string | null, lookUp: null as string | null, start: null as string | null };
  /** Ends of the helpers that run. */
  const helpers: (() => void)[] = [];
  let holdStart = Promise.resolve();
  const lookUp = async () => {
    if (state.lookUp !== null) throw new Error(state.lookUp);
    return ADDRESSES;
  };
  const network = new KeptNetwork({
    async block() {
      if (state.block !== null) throw new Error(state.block);
    },
    async startHelper() {
      said.push("start");
      await holdStart;
      if (state.start !== null) throw new Error(state.start);
      expect(helpers).toEqual([]); // K3
      const { promise: gone, resolve } = Promise.withResolvers<void>();
      const end = () => {
        if (helpers.includes(end)) helpers.splice(helpers.indexOf(end), 1);
        resolve();
      };
      helpers.push(end);
      return { gone, stop: end };
    },
    lookUp,
    clock,
    onLost: (why) => void said.push(`lost: ${why}`),
    onBack: () => void said.push("back"),
  });
  return {
    clock,
    network,
    state,
    helpers,
    hold: (until: Promise<void>) => {
      holdStart = until;
    },
    look: () => network.resync(lookUp).then(settle),
    said: () => said.splice(0),
  };
}

for (const [kind, why] of [
  ["lookUp", "EMFILE: too many open files"],
  ["block", "the host's addresses could not be blocked: out of memory"],
] as const)
  test(`is without a helper while ${kind} fails, and has one again once it does not`, async () => {
    const { network, state, helpers, look, said } = world();
    await network.open();
    expect([helpers.length, network.lost(), network.losses(), said()]).toEqual([1, null, 0, ["start"]]);
    state[kind] = why;
    for (let looks = 0; looks < 3; looks += 1) {
      await look();
      expect([helpers.length, network.lost(), network.losses()]).toEqual([0, why, 1]);
    }
    expect(said()).toEqual([`lost: ${why}`]);
    state[kind] = null;
    await look();
    expect([helpers.length, network.lost(), network.losses(), said()]).toEqual([1, null, 1, ["start", "back"]]);
    await look();
    expect(said()).toEqual([]);
  });

test("is not used when the host's addresses could not be blocked while its helper started", async () => {
  const { network, state, helpers, hold, look, said } = world();
  await network.open();
  state.block = "not now";
  await look();
  state.block = null;
  const started = Promise.withResolvers<void>();
  hold(started.promise);
  await look();
  state.block = "again not";
  await look();
  started.resolve();
  await settle();
  expect([helpers.length, network.lost(), said()]).toEqual([0, "again not", ["start", "lost: not now", "start"]]);
  state.block = null;
  await look();
  expect([helpers.length, network.lost(), said()]).toEqual([1, null, ["start", "back"]]);
});

test("replaces a helper that ends by itself at once, and later after pauses of up to a minute while that is in vain", async () => {
  const { clock, network, state, helpers, look, said } = world();
  await network.open();
  said();
  const from = clock.now();
  const starts: number[] = [];
  for (let ends = 0; ends < 10; ends += 1) {
    helpers[0]?.();
    await settle();
    for (; helpers.length === 0; await look()) await clock.advance(1_000);
    starts.push(clock.now() - from);
    expect(network.losses()).toBe(ends + 1);
  }
  expect(starts.map((at) => at / 1_000)).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
  expect(said().slice(0, 4)).toEqual([
    "lost: the program that provides it has ended",
    "start",
    "back",
    "lost: the program that provides it has ended",
  ]);
  await clock.advance(60_000);
  helpers[0]?.();
  await settle();
  expect(helpers).toHaveLength(1);
  state.start = "slirp4netns did not come up";
  said();
  helpers[0]?.();
  await settle();
  for (let looks = 0; looks < 20; looks += 1) {
    await clock.advance(1_000);
    await look();
  }
  expect([network.lost(), network.losses(), said().filter((word) => word === "start")]).toEqual([
    "slirp4netns did not come up",
    12,
    Array(4).fill("start"),
  ]);
});

test("has no helper once it is stopped, and gets none", async () => {
  const { network, helpers, hold, look, said } = world();
  const started = Promise.withResolvers<void>();
  hold(started.promise);
  const opened = network.open().catch((error: Error) => error.message);
  await look(); // as the kernel reports a change meanwhile
  network.stop();
  started.resolve();
  expect(await opened).toBe("it is not up yet");
  await look();
  expect([helpers, said()]).toEqual([[], ["start"]]);
});
