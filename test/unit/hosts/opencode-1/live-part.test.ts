import { expect, test } from "bun:test";
import type { HostClient } from "../../../../src/hosts/opencode-1/host-client.ts";
import { createLivePart } from "../../../../src/hosts/opencode-1/live-part.ts";
import { hideViews } from "../../../../src/hosts/opencode-1/view-parts.ts";
import { createHostIds } from "../../../../src/shared/ids.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

type State = { status: string; title?: string; metadata?: object };
interface Update {
  partID: string;
  part: { type: string; text?: string; state?: State; ignored?: boolean; metadata?: object };
}

function open(status = "running") {
  const clock = createFakeClock();
  const tool = {
    id: "prt_tool",
    type: "tool",
    callID: "call_1",
    state: { status, metadata: { kept: 1 }, time: { start: 1 } },
  };
  const parts = [{ id: "prt_x", type: "text" }, { ...tool, id: "prt_other", callID: "call_2" }, tool];
  const updates: Update[] = [];
  const deleted: string[] = [];
  const fake = {
    reads: 0,
    /** Called before each answer; may take its time or reject. */
    before: async (_call: string): Promise<void> => {},
  };
  const client = {
    session: {
      message: async () => {
        fake.reads++;
        await fake.before("message");
        return { data: { parts } };
      },
    },
    part: {
      update: async (update: Update) => {
        await fake.before("update");
        updates.push(update);
      },
      delete: async ({ partID }: { partID: string }) => {
        await fake.before("delete");
        deleted.push(partID);
      },
    },
  } as unknown as HostClient;
  const address = { sessionID: "ses_1", messageID: "msg_1", callID: "call_1" };
  const stop = new AbortController();
  const progress = createLivePart(
    client,
    clock,
    createHostIds(() => clock.now()),
    address,
    stop.signal,
    "me",
  );
  const show = (text: string) => progress.show(() => ({ title: `title ${text}`, text, metadata: { now: text } }));
  const texts = () => updates.flatMap(({ part }) => (part.type === "text" ? [part.text] : []));
  return { clock, fake, updates, deleted, progress, show, texts, tool, stopTurn: () => stop.abort() };
}

test("title and metadata go to the tool's own part, the text to a part below it", async () => {
  const { clock, updates, show } = open();
  show("a");
  await clock.advance(250);
  expect(updates.map(({ partID }) => partID)).toEqual(["prt_tool", expect.stringMatching(/paLivePart$/)]);
  expect(updates[0]?.part.state).toMatchObject({
    status: "running",
    title: "title a",
    metadata: { kept: 1, now: "a" },
  });
  expect(updates[1]?.part).toMatchObject({ type: "text", text: "a", ignored: true });
});

test("many views cost one update per quarter second, and the newest wins", async () => {
  const { clock, fake, show, texts } = open();
  for (let i = 0; i < 100; i++) {
    show(String(i));
    await clock.advance(10);
  }
  await clock.advance(250);
  expect(fake.reads).toBeLessThanOrEqual(4);
  expect(texts().at(-1)).toBe("99");
  expect(clock.pending()).toBe(0);
});

test("views that take long to send are sent less often, and the newest still comes", async () => {
  const { clock, fake, show, texts } = open();
  fake.before = (call) =>
    call === "message" ? new Promise((resolve) => clock.after(500, resolve)) : Promise.resolve();
  for (let i = 0; i < 300; i++) {
    show(String(i));
    await clock.advance(100);
  }
  expect(texts().length).toBeLessThanOrEqual(3); // half a second is a fortieth of twenty
  await clock.advance(21_000);
  expect(texts().at(-1)).toBe("299");
});

for (const status of ["pending", "completed", "error"]) {
  test(`a part that is ${status} is not written back`, async () => {
    const { clock, updates, deleted, show, progress } = open(status);
    show("a");
    await clock.advance(250);
    await progress.stop();
    await clock.advance(1_000);
    expect([updates, deleted]).toEqual([[], []]);
  });
}

test("what is shown while the call is pending is seen once it runs, though nothing more is shown", async () => {
  const { clock, tool, show, texts } = open("pending");
  show("a");
  await clock.advance(600);
  expect(texts()).toEqual([]);
  tool.state.status = "running";
  await clock.advance(600);
  expect(texts()).toEqual(["a"]);
  expect(clock.pending()).toBe(0);
});

test("nothing is sent once the turn is stopped", async () => {
  const { clock, updates, show, stopTurn } = open();
  show("a");
  await clock.advance(100);
  stopTurn();
  await clock.advance(5_000);
  show("b");
  await clock.advance(5_000);
  expect(updates).toEqual([]);
});

for (const [what, status, written] of [
  ["is shown as running again by it is ended", "running", ["running", "error"]],
  ["OpenCode ends after it stays as it is", "error", ["running"]],
] as const) {
  test(`an update on its way when the turn is stopped: a call that ${what}`, async () => {
    const { clock, fake, updates, tool, show, stopTurn } = open();
    let arrive = () => {};
    fake.before = (call) => (call === "update" ? new Promise((resolve) => (arrive = resolve)) : Promise.resolve());
    show("a");
    await clock.advance(250);
    stopTurn();
    arrive();
    await clock.advance(0);
    fake.before = async () => {};
    tool.state.status = status;
    await clock.advance(5_000);
    await clock.advance(0);
    expect(updates.map(({ part }) => part.state?.status)).toEqual([...written]);
    expect(clock.pending()).toBe(0);
  });
}

test("nothing is sent after the stop, not even a view under way or waiting", async () => {
  const { clock, fake, updates, show, progress } = open();
  let answer = () => {};
  fake.before = (call) => (call === "message" ? new Promise((resolve) => (answer = resolve)) : Promise.resolve());
  show("a");
  await clock.advance(250);
  show("b");
  const stopped = progress.stop();
  answer();
  await stopped;
  show("c");
  await clock.advance(5_000);
  expect(updates).toEqual([]);
  expect(clock.pending()).toBe(0);
});

test("the stop waits for an update under way and removes the view", async () => {
  const { clock, fake, updates, deleted, show, progress } = open();
  show("a");
  await clock.advance(250);
  let written = () => {};
  fake.before = (call) => (call === "update" ? new Promise((resolve) => (written = resolve)) : Promise.resolve());
  show("b");
  await clock.advance(250);
  let isStopped = false;
  void progress.stop().then(() => {
    isStopped = true;
  });
  await clock.advance(0);
  expect(isStopped).toBe(false);
  written();
  await clock.advance(0);
  written();
  await clock.advance(1_000);
  expect([isStopped, updates.length]).toEqual([true, 4]);
  expect(deleted).toEqual([updates[1]?.partID ?? ""]);
});

test("a refused update does not fail the tool", async () => {
  const { clock, fake, show, progress, texts } = open();
  fake.before = async (call) => {
    if (call === "update") throw new Error("500");
  };
  show("a");
  await clock.advance(250);
  fake.before = async () => {};
  show("b");
  await clock.advance(250);
  expect(texts()).toEqual(["b"]);
  fake.before = () => Promise.reject(new Error("gone"));
  await progress.stop();
  await clock.advance(1_000);
});

test("what a tool leaves takes the place of its view for good, and is a part of its own where nothing was shown", async () => {
  const { clock, updates, deleted, show, progress } = open();
  show("a");
  await clock.advance(250);
  await progress.stop();
  await clock.advance(100);
  await progress.leave("final\u001b[2J");
  await clock.advance(5_000);
  expect(updates.at(-1)).toMatchObject({ partID: updates[1]?.partID ?? "", part: { text: "final", ignored: true } });
  expect([deleted, clock.pending()]).toEqual([[], 0]);

  const quick = open("completed");
  await quick.progress.leave("final");
  expect(quick.updates).toMatchObject([{ part: { type: "text", text: "final" } }]);
});

test("what a tool leaves comes after the removal of its view, also where that is under way", async () => {
  const { clock, fake, show, progress, texts } = open();
  show("a");
  await clock.advance(250);
  await progress.stop();
  let removed = () => {};
  fake.before = (call) => (call === "delete" ? new Promise((resolve) => (removed = resolve)) : Promise.resolve());
  await clock.advance(150);
  const left = progress.leave("final");
  await clock.advance(0);
  expect(texts()).toEqual(["a"]);
  removed();
  await left;
  expect(texts()).toEqual(["a", "final"]);
});

test("what must be on screen before a question is shown at once, also while the call is pending", async () => {
  const { clock, fake, progress, texts, updates } = open("pending");
  await progress.showNow(() => ({ title: "t", text: "wish", metadata: {} }));
  expect(texts()).toEqual(["wish"]);
  fake.before = () => Promise.reject(new Error("500"));
  await progress.showNow(() => ({ title: "t", text: "again", metadata: {} })); // a question is asked all the same
  await progress.stop();
  await clock.advance(1_000);
  expect(updates.length).toBe(1);
});

test("views are kept from the model by their id and in forks by their mark, and no other parts are", () => {
  const others = [{ id: "prt_1" }, { id: "prt_paLivePart_2", metadata: { openai: { itemId: "1" } } }];
  const untouched = { parts: [...others] };
  const { parts } = untouched;
  const forked = { id: "prt_3", metadata: { "parallel-agents-view": true } };
  const messages = [{ parts: [...others, { id: "prt_0123paLivePart" }, forked] }, untouched];
  hideViews(messages);
  expect(messages.map((message) => message.parts as object[])).toEqual([others, others]);
  expect(untouched.parts).toBe(parts);
});

test("only what goes on changing names its writer", async () => {
  const { clock, updates, progress, show } = open();
  show("a");
  await clock.advance(250);
  await progress.stop();
  await progress.leave("b");
  expect(updates.flatMap(({ part }) => (part.type === "text" ? [[part.text, part.metadata]] : []))).toEqual([
    ["a", { "parallel-agents-view": true, "parallel-agents-writer": "me" }],
    ["b", { "parallel-agents-view": true }],
  ]);
});
