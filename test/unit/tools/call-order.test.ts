import { expect, test } from "bun:test";
import { sleep } from "../../../src/shared/clock.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { inWorld } from "../jobs/runtime-world.ts";
import { openTools } from "./tool-host.ts";

/* Several calls in one message of a model: the host runs them all at once. */

const idsIn = (jobs: unknown) => (jobs as JobView[]).map(({ id }) => id);

test(
  "a wait and a status in one message with a start are about the jobs that it starts, also while the user is asked",
  inWorld(async (world) => {
    const { call } = openTools(world);
    let allow = (_: "allowed") => {};
    const asking = new Promise<"allowed">((resolve) => {
      allow = resolve;
    });
    const task = { description: "one", prompt: "say 1" };
    const starting = call("agents_start", { tasks: [task] }, undefined, undefined, () => asking);
    const [status, waiting] = [call("agents_status", {}), call("agents_wait", {})];
    await world.clock.advance(5_000);
    allow("allowed");
    const ids = idsIn((await starting).metadata.jobs);
    let done = false;
    void waiting.finally(() => {
      done = true;
    });
    await world.clock.until("the wait is over", () => done);
    expect(idsIn((await status).metadata.jobs)).toEqual(ids);
    expect(idsIn((await waiting).metadata.finished)).toEqual(ids);
    expect((await waiting).output).not.toContain("has started no jobs");
  }),
);

test(
  "a wait in one message with a message to a job returns the answer to it",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const [id = ""] = await world.start("say first");
    await world.reaches(id, "completed");
    const sent = call("agents_message", { job: id, message: "say second" }, undefined, undefined, async () => {
      await sleep(world.clock, 1_000);
      return "allowed";
    });
    const waiting = call("agents_wait", { jobs: [id] });
    let done = false;
    void waiting.finally(() => {
      done = true;
    });
    await world.clock.until("the wait is over", () => done);
    expect((await sent).output).toContain("queued");
    expect((await waiting).output).toContain("second");
  }),
);

test(
  "a stopped turn does not leave a wait behind a start that waits for the user",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const stop = new AbortController();
    const task = { description: "one", prompt: "say 1" };
    void call("agents_start", { tasks: [task] }, undefined, stop.signal, () => new Promise(() => {}));
    const waiting = call("agents_wait", {}, undefined, stop.signal);
    stop.abort();
    expect(await waiting.catch(() => "ended")).toBe("ended");
  }),
);
