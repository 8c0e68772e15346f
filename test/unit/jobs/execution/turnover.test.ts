import { expect, test } from "bun:test";
import { gate, inWorld } from "../runtime-world.ts";

/* What lies between the end of one job and the next one's first request, where only one may run. */

const ONE = { maxRunningJobs: 1 };

test(
  "the host is asked three times in a row: for the answer, for the next session, to prompt it; and nothing is waited for",
  inWorld(async (world) => {
    const asked: string[] = [];
    const [first = "", second = ""] = await world.start("work 1000 one", "say two");
    await world.clock.until("the first is asked", () => world.sessions.prompts.length === 1);
    await world.reaches(first, "running");
    world.sessions.onCall = (name) => void asked.push(name);
    await world.clock.until("the second is asked", () => world.sessions.prompts.length === 2);
    expect(asked).toEqual(["read", "create", "prompt"]);
    const { state } = world.job(first);
    expect([state.kind, world.clock.now() - state.since]).toEqual(["completed", 0]);
    await world.reaches(second, "completed");
  }, ONE),
);

test(
  "the next job works while the sandbox of the one before is still being frozen",
  inWorld(async (world) => {
    const freezing = gate();
    world.machine.onSnapshot = () => freezing.passed;
    const [first = "", second = ""] = await world.start("say one", "say two");
    await world.reaches(second, "completed");
    expect(world.job(first)).toMatchObject({ state: { kind: "completed" }, sandbox: { kind: "live" } });
    freezing.open();
    await world.clock.until("the first is parked", () => world.job(first).sandbox.kind === "parked");
  }, ONE),
);
