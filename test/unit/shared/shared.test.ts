import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sleep } from "../../../src/shared/clock.ts";
import { createConcurrencyLimit } from "../../../src/shared/concurrency-limit.ts";
import { createEmitter } from "../../../src/shared/emitter.ts";
import { PluginError, toFailure } from "../../../src/shared/error-code.ts";
import { createHostIds, randomId } from "../../../src/shared/ids.ts";
import { createFakeClock, settle } from "../../support/fake-clock.ts";

describe("IDs in OpenCode's format", () => {
  test("sort by creation, also within a millisecond and when the clock goes back", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 5 }), { maxLength: 200 }), (steps) => {
        let now = Date.UTC(2026, 0, 1);
        const next = createHostIds(() => now);
        const ids = steps.map((step) => {
          now += step;
          return next("msg");
        });
        expect([...ids].sort()).toEqual(ids);
        expect(new Set(ids).size).toBe(ids.length);
      }),
    );
  });

  test("are a prefix, 12 hexadecimal digits of the time and 14 base-62 characters", () => {
    const at = Date.UTC(2026, 5, 1);
    const id = createHostIds(() => at)("prt");
    expect(id).toMatch(/^prt_[0-9a-f]{12}[0-9A-Za-z]{14}$/);
    expect(BigInt(`0x${id.slice(4, 16)}`)).toBe((BigInt(at) * 4096n) % 2n ** 48n);
  });
});

test("a random ID is safe in file names, branches and URLs", () => {
  expect(randomId("job")).toMatch(/^job_[0-9a-z]{12}$/);
  expect(randomId("job")).not.toBe(randomId("job"));
});

describe("a concurrency limit", () => {
  test("runs that many operations at once and the others in order, also after a failure", async () => {
    const run = createConcurrencyLimit(2);
    const open: string[] = [];
    const ends = new Map<string, (error?: Error) => void>();
    const starts = ["a", "b", "c", "d"].map((name) =>
      run(() => {
        open.push(name);
        return new Promise<string>((resolve, reject) => {
          ends.set(name, (error) => {
            open.splice(open.indexOf(name), 1);
            if (error) reject(error);
            else resolve(name);
          });
        });
      }),
    );
    const settled = Promise.allSettled(starts);
    const end = async (name: string, error?: Error) => {
      ends.get(name)?.(error);
      await settle();
    };
    await settle();
    expect(open).toEqual(["a", "b"]);
    await end("b", new Error("b failed"));
    expect(open).toEqual(["a", "c"]);
    await end("c");
    await end("a");
    expect(open).toEqual(["d"]);
    await end("d");
    expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(await run(async () => "later")).toBe("later");
  });
});

describe("sleep", () => {
  test("ends after its time or when it is aborted, and leaves no timer", async () => {
    const clock = createFakeClock();
    const stopping = new AbortController();
    const woken: string[] = [];
    void sleep(clock, 1_000).then(() => woken.push("time"));
    void sleep(clock, 5_000, stopping.signal).then(() => woken.push("stopped"));
    void sleep(clock, 5_000, AbortSignal.abort()).then(() => woken.push("never began"));
    await settle();
    expect(woken).toEqual(["never began"]);
    await clock.advance(1_000);
    stopping.abort();
    await settle();
    expect(woken).toEqual(["never began", "time", "stopped"]);
    expect(clock.pending()).toBe(0);
  });
});

describe("an emitter", () => {
  test("calls the other listeners after one throws or unsubscribes, and reports the error", () => {
    const heard: string[] = [];
    const errors: unknown[] = [];
    const { emit, on } = createEmitter<string>((error) => errors.push(error));
    const leave = on((event) => {
      heard.push(`a ${event}`);
      leave();
    });
    on(() => {
      throw new Error("a bug");
    });
    on((event) => heard.push(`c ${event}`));
    emit("1");
    emit("2");
    expect(heard).toEqual(["a 1", "c 1", "c 2"]);
    expect(errors).toEqual([new Error("a bug"), new Error("a bug")]);
  });
});

test("anything that is thrown becomes a failure, and a PluginError keeps its code", () => {
  const known = new PluginError("no_capacity", "none left", { retryable: true });
  expect(toFailure(known, "model_error", "x")).toEqual({ code: "no_capacity", message: "none left", retryable: true });
  const failure = { code: "model_error" as const, retryable: null };
  expect(toFailure(new Error("boom"), "model_error", "ask")).toEqual({ ...failure, message: "Could not ask: boom" });
  expect(toFailure("plain", "model_error", "ask")).toEqual({ ...failure, message: "Could not ask: plain" });
  expect(new PluginError("stalled", "m").retryable).toBeNull();
});
