import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  afterBuild,
  decideEnvironment,
  type EnvironmentBuild,
  type EnvironmentImage,
  type EnvironmentRecord,
  type EnvironmentUse,
  isBuildingIn,
  NOTHING_BUILT,
  stateOf,
  unneededContents,
} from "../../../src/core/environment-image.ts";

const NOW = 1_000_000_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const facts = { now: NOW, isDead: (owner: string) => owner === "dead", refreshMs: 30 * MINUTE };

const image = (ageMs: number, more: Partial<EnvironmentImage> = {}): EnvironmentImage => ({
  snapshotID: `snap_${ageMs}`, provider: "local", tree: null, builtAt: NOW - ageMs, expiresAt: null, tookMs: 1, usd: 0, notes: [], ...more,
}); // biome-ignore format: one line
const build = (more: Partial<EnvironmentBuild> = {}): EnvironmentBuild => ({
  id: "build_1", owner: "live", since: NOW, renewedAt: NOW, sandboxID: null, step: 1, of: 2, command: "make", ...more,
}); // biome-ignore format: one line
const failure = { code: "setup_failed", message: "it failed", retryable: false } as const;
const record = (more: Partial<EnvironmentRecord>): EnvironmentRecord => ({ ...NOTHING_BUILT, ...more });
const failed = (agoMs: number) => ({ at: NOW - agoMs, failure });

describe("a job that needs an environment", () => {
  const cases: [what: string, record: Partial<EnvironmentRecord>, queuedAgoMs: number, decision: object][] = [
    ["builds one of which there is nothing", {}, 0, { kind: "build" }],
    ["uses a fresh image", { image: image(MINUTE) }, 0, { kind: "use", refresh: false }],
    ["uses an old one and has it renewed", { image: image(31 * MINUTE) }, 0, { kind: "use", refresh: true }],
    ["has an old one renewed once", { image: image(31 * MINUTE), build: build() }, 0, { kind: "use", refresh: false }],
    ["does not renew again right after a failure", { image: image(40 * MINUTE), failed: failed(MINUTE) }, 0, { kind: "use", refresh: false }],
    ["renews again as long after a failure as after a success", { image: image(70 * MINUTE), failed: failed(31 * MINUTE) }, 0, { kind: "use", refresh: true }],
    ["renews one of which little life is left", { image: image(10 * MINUTE, { expiresAt: NOW + MINUTE }) }, 0, { kind: "use", refresh: true }],
    ["builds one that has expired", { image: image(DAY, { expiresAt: NOW - 1 }) }, 0, { kind: "build" }],
    ["waits for another's build", { build: build() }, 0, { kind: "wait" }],
    ["takes over from a dead process", { build: build({ owner: "dead" }) }, 0, { kind: "build" }],
    ["takes over what was not renewed", { build: build({ renewedAt: NOW - MINUTE }) }, 0, { kind: "build" }],
    ["fails with the build that it waited for", { failed: failed(MINUTE) }, 2 * MINUTE, { kind: "fail", failure }],
    ["tries again what failed before it was queued", { failed: failed(MINUTE) }, 0, { kind: "build" }],
    ["waits for the try after a failure", { failed: failed(MINUTE), build: build() }, 2 * MINUTE, { kind: "wait" }],
    ["renews one built before the clock was set back", { image: image(-DAY) }, 0, { kind: "use", refresh: true }],
    ["renews it after a failure before that too", { image: image(-DAY), failed: failed(-DAY) }, 0, { kind: "use", refresh: true }],
    ["tries again what failed before the clock was set back", { failed: failed(-DAY) }, 0, { kind: "build" }],
    ["takes over a build that was renewed before the clock was set back", { build: build({ renewedAt: NOW + DAY }) }, 0, { kind: "build" }],
  ]; // biome-ignore format: a table
  test.each(cases)("%s", (_, given, queuedAgoMs, decision) => {
    expect(decideEnvironment(record(given), facts, NOW - queuedAgoMs)).toMatchObject(decision);
  });
});

describe("its state is", () => {
  const cases: [state: string, record: Partial<EnvironmentRecord>][] = [
    ["unbuilt", {}],
    ["building", { build: build() }],
    ["building", { image: image(40 * MINUTE), build: build() }],
    ["ready", { image: image(MINUTE) }],
    ["stale", { image: image(31 * MINUTE) }],
    ["stale", { image: image(MINUTE), failed: failed(0) }],
    ["failed", { failed: failed(0) }],
    ["failed", { failed: failed(0), build: build({ owner: "dead" }) }],
    ["failed", { image: image(DAY, { expiresAt: NOW - 1 }), failed: failed(0) }],
  ];
  test.each(cases)("%s of %j", (state, given) => expect(stateOf(record(given), facts)).toBe(state as never));
});

test("a build that is not the recorded one any more records nothing", () => {
  expect(afterBuild(record({ build: build() }), "build_0", { image: image(0) })).toBeNull();
  expect(afterBuild(record({}), "build_1", { failed: failed(0) })).toBeNull();
});

test("a failed build keeps the last good image, and a good one keeps that before it for one more", () => {
  const before = record({ image: image(1), former: image(2), build: build() });
  expect(afterBuild(before, "build_1", { failed: failed(0) })).toEqual({ ...before, build: null, failed: failed(0) });
  expect(afterBuild(before, "build_1", { image: image(0) })).toEqual(record({ image: image(0), former: image(1) }));
  expect(afterBuild(before, "build_1", null)).toEqual({ ...before, build: null });
});

test("garbage collection spares the sandbox of a live build, and every one while its sandbox is not named", () => {
  const named = record({ build: build({ sandboxID: "sbx_1" }) });
  expect([isBuildingIn(named, "sbx_1", facts), isBuildingIn(named, "sbx_2", facts)]).toEqual([true, false]);
  expect(isBuildingIn(record({ build: build() }), "sbx_2", facts)).toBe(true);
  expect(isBuildingIn(record({ build: build({ owner: "dead" }) }), "sbx_1", facts)).toBe(false);
  expect(isBuildingIn(record({}), "sbx_1", facts)).toBe(false);
});

describe("an image is not needed", () => {
  const use = (slot: string, key: string, owner: string, agoMs: number): EnvironmentUse => ({
    slot,
    key,
    owner,
    usedAt: NOW - agoMs,
  });
  const unneeded = (...uses: EnvironmentUse[]) => unneededContents(["old", "new"], uses, facts);

  test("once its environment has another set-up and no process uses it", () => {
    expect(unneeded(use("a", "old", "dead", 2), use("a", "new", "dead", 1))).toEqual(["old"]);
    expect(unneeded(use("a", "old", "live", 2), use("a", "new", "live", 1))).toEqual([]);
    expect(unneeded(use("a", "old", "dead", 2), use("b", "old", "dead", 2), use("a", "new", "dead", 1))).toEqual([]);
  });
  test("after a week without use", () => {
    expect(unneeded(use("a", "old", "dead", 8 * DAY), use("b", "new", "dead", DAY))).toEqual(["old"]);
  });
});

test("whatever happens in which order, there is one build at a time and no good image is lost", () => {
  const step = fc.record({
    kind: fc.constantFrom("need", "succeed", "fail", "die", "stop"),
    by: fc.nat(3),
    ms: fc.nat(40 * MINUTE),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let [now, count] = [NOW, 0];
      let known: EnvironmentRecord = NOTHING_BUILT;
      const dead = new Set<string>();
      const building = new Map<string, string>(); // what processes believe to be building
      for (const { kind, by, ms } of steps) {
        now += ms;
        const owner = `process ${by}`;
        const mine = building.get(owner);
        if (kind === "need" && !dead.has(owner)) {
          const decision = decideEnvironment(known, { ...facts, now, isDead: (name) => dead.has(name) }, now);
          const begins = decision.kind === "build" || (decision.kind === "use" && decision.refresh);
          if (known.image) expect(decision.kind).toBe("use");
          if (!begins) continue;
          building.set(owner, `build ${++count}`);
          known = { ...known, build: build({ id: `build ${count}`, owner, since: now, renewedAt: now }) };
        } else if (kind === "die") dead.add(owner);
        else if (mine && !dead.has(owner)) {
          const good = known.image;
          const result =
            { succeed: { image: image(now) }, fail: { failed: { at: now, failure } } }[kind as string] ?? null;
          const after = afterBuild(known, mine, result);
          expect(after === null).toBe(known.build?.id !== mine);
          known = after ?? known;
          building.delete(owner);
          if (good) expect([known.image, known.former]).toContain(good);
        }
      }
    }),
  );
});
