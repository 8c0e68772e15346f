import { expect, test } from "bun:test";
import { inWorld, startIn, type World } from "../runtime-world.ts";
import { fork, read, untilParked, write } from "./snapshots-support.ts";

// The machine in memory stands for Modal here: only there may a job start from a sandbox.
const onModal = (body: (world: World) => Promise<void>) => inWorld(body, {}, { providerName: "modal" });

const sandboxOf = (world: World, id: string): string => {
  const { sandbox } = world.job(id);
  return sandbox.kind === "live" ? sandbox.id : "";
};

test(
  "a job starts from the sandbox of a running job as it is when the task is accepted",
  onModal(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await write(world, id, "note", "before");
    const [one = ""] = await world.start(fork(sandboxOf(world, id)));
    await world.clock.advance(10);
    await write(world, id, "note", "after");
    await world.reaches(one, "running");
    expect(await read(world, one, "note")).toBe("before");
    expect(world.job(one).notes.join()).toContain(sandboxOf(world, id));
    expect(world.job(id).state.kind).toBe("running");
    expect(world.runtime.snapshots.list(world.job(id).orchestrator).newest).toMatchObject([{ jobID: id }]);
  }),
);

test(
  "a job starts from the sandbox of an ended job while it is live, and from what it was parked with meanwhile",
  onModal(async (world) => {
    const [id = "", busy = ""] = await world.start("say 1", "hang");
    await world.reaches(id, "completed");
    await world.reaches(busy, "running");
    await write(world, id, "note", "kept");
    world.machine.onSnapshot = () => {
      world.machine.onSnapshot = () => {};
      throw new Error("too slow");
    };
    const [one = ""] = await world.start(fork(sandboxOf(world, id)));
    await world.reaches(one, "running");
    expect(await read(world, one, "note")).toBe("kept");
    const former = world.machine.sandboxes()[0]?.id ?? "";
    await untilParked(world, id);
    const [late = ""] = await world.start(fork(former));
    await world.reaches(late, "running");
    expect(await read(world, late, "note")).toBe("kept");
  }),
);

test(
  "the sandbox of another session's job is answered like one that does not exist",
  onModal(async (world) => {
    const [foreign] = await startIn(world.runtime, "ses_other", "hang");
    await world.clock.until("the other job runs", () => world.machine.sandboxes().length === 1);
    const theirs = world.machine.sandboxes()[0]?.id ?? "";
    expect(foreign?.id).toBeString();
    const [one = "", two = ""] = await world.start(fork(theirs), fork("sbx_999"));
    const failures = [];
    for (const id of [one, two]) {
      const { state } = await world.reaches(id, "failed");
      failures.push(
        state.kind === "failed" && { ...state.failure, message: state.failure.message.replace(/sbx_\d+/, "ID") },
      );
    }
    expect(failures[0]).toMatchObject({ code: "invalid_task", retryable: false });
    expect(failures[0]).toEqual(failures[1] as never);
    expect(world.operations("snapshot")).toEqual([]);
  }),
);
