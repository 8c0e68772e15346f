import { describe, expect, test } from "bun:test";
import { BuildLog } from "../../../../src/sandboxes/modal/build-log.ts";
import { CallWatch } from "../../../../src/sandboxes/modal/call-watch.ts";
import { buildImage } from "../../../../src/sandboxes/modal/image-build.ts";
import type { ModalLimits } from "../../../../src/sandboxes/modal/limits.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

/** Builds an image whose build ends with these statuses, one per attempt. */
async function build(statuses: readonly number[], exception = "") {
  const watch = new CallWatch();
  const clock = createFakeClock();
  let attempt = 0;
  const said = async (method: string, reply: object) => {
    const call = { method: { path: `/modal.client.ModalClient/${method}` }, responseStream: false };
    // biome-ignore lint/correctness/useYield: a call with one reply
    const next = async function* () {
      return reply;
    };
    for await (const _ of watch.middleware({ ...call, next } as never, {}));
  };
  const image = {
    async build() {
      await said("ImageGetOrCreate", { imageId: "im-1" });
      const status = statuses[attempt++] ?? 1;
      await said("ImageJoinStreaming", { taskLogs: [{ data: "a\nb\n" }], result: { status, exception } });
      if (status !== 1) throw new Error("the SDK's own words");
      return image;
    },
  };
  // biome-ignore lint/correctness/useYield: it fails before its first reply
  const noLog = async function* () {
    throw new Error("no log any more");
  };
  const client = { cpClient: { imageJoinStreaming: noLog } };
  const deps = { clock, watch, limits: { callMs: 1_000, buildMs: 60_000 } as ModalLimits };
  const building = buildImage(deps, client as never, {} as never, {
    name: "x",
    prepare: async () => image as never,
    explain: () => null,
    silent: "",
    tell: () => {},
  });
  const settled = building.then(
    () => "built",
    (error: unknown) => error as { code: string; retryable: boolean | null; message: string },
  );
  await clock.advance(10_000);
  return { outcome: await settled, attempts: attempt };
}

describe("a build", () => {
  test("that Modal has broken off is made again, whatever broke it off", async () => {
    for (const status of [3, 4, 6, 8])
      expect({ status, ...(await build([status, status])) }).toEqual({ status, outcome: "built", attempts: 3 });
  });

  test("that Modal breaks off time after time may be tried again later", async () => {
    const { outcome, attempts } = await build([3, 8, 8, 1]);
    expect(attempts).toBe(3);
    expect(outcome).toMatchObject({ code: "sandbox_create_failed", retryable: true });
    expect(outcome).toHaveProperty("message", expect.stringContaining("Modal ended the build to free memory."));
  });

  test("whose recipe fails is not made again, and says what was seen of its log where that cannot be read", async () => {
    const { outcome, attempts } = await build([2], "RUN a\nexit 1: b");
    expect(attempts).toBe(1);
    expect(outcome).toMatchObject({
      code: "sandbox_create_failed",
      message: `Could not build image x: RUN a exit 1: b. Check the environment's "image". The last 2 lines of its log:\na\nb`,
    });
    const unknown = await build([5]);
    expect(unknown).toMatchObject({ attempts: 1, outcome: { code: "sandbox_create_failed", retryable: null } });
  });
});

describe("the log of a build", () => {
  test("is kept and shown by its end", () => {
    const log = new BuildLog();
    for (let at = 0; at < 20_000; at += 1) log.add(`step ${at}\n`);
    log.add("\n  \n50%\r\u001b[2K100%\u202e");
    expect(log.lastLine()).toBe("100%");
    expect(log.tail()).toHaveLength(40);
    expect(log.tail().at(-3)).toBe("step 19999");
    log.add("y".repeat(1e6));
    expect(log.lastLine()).toHaveLength(300);
    expect(new BuildLog().lastLine()).toBeNull();
  });
});
