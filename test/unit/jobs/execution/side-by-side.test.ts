import { expect, test } from "bun:test";
import { optionsSchema } from "../../../../src/config/schema.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { createMemoryMachine } from "../../../support/memory-machine.ts";
import { gate, inWorld, leaseCount, ORCHESTRATOR, type World } from "../runtime-world.ts";

/* The model of a job works while its sandbox is being made. */

/** A world in which sandboxes are made only once the gate is opened. */
function slowly({ machine }: Pick<World, "machine">) {
  const creation = gate();
  machine.onCreate = () => creation.passed;
  return creation;
}

const asked = (world: World): string[] => world.sessions.prompts.map(({ text }) => text);

const firstAsked = (world: World) => world.clock.until("its model is asked", () => asked(world).length > 0);

async function startSlowly(world: World, prompt: string) {
  const creation = slowly(world);
  const [id = ""] = await world.start(prompt);
  await firstAsked(world);
  return { id, creation };
}

/** Nothing of the job is left: no model that works, no sandbox, no lease, no timer that would make one. */
async function expectNothingLeft(world: World): Promise<void> {
  await world.clock.advance(120_000);
  expect([world.sessions.running(), world.machine.sandboxes(), leaseCount(world.runtime)]).toEqual([[], [], 0]);
}

test(
  "a job's model is asked while its sandbox is made, and the job runs once that is there",
  inWorld(async (world) => {
    const { id, creation } = await startSlowly(world, "work 9000 done");
    await world.clock.advance(3_000);
    expect(world.job(id)).toMatchObject({ state: { kind: "starting" }, sandbox: { kind: "creating" }, turns: 1 });
    creation.open();
    const { state, startedAt } = await world.reaches(id, "running");
    expect(state.since - (startedAt ?? 0)).toBeGreaterThanOrEqual(3_000); // from now on its time passes
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "done" });
    expect(asked(world)).toEqual(["work 9000 done"]);
  }),
);

test(
  "a job whose model answers before its sandbox is there completes with that, and is parked like any other",
  inWorld(async (world) => {
    const { id, creation } = await startSlowly(world, "say no files needed");
    await world.clock.advance(20_000);
    expect(world.job(id).state.kind).toBe("starting");
    creation.open();
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "no files needed" });
    await expectNothingLeft(world);
    expect(world.job(id).sandbox.kind).toBe("parked");
  }),
);

const NO_SANDBOX = new PluginError("sandbox_create_failed", "no sandbox today", { retryable: false });

for (const [what, prompt, isToolSeen] of [
  ["while its model writes", "hang", false],
  ["while a tool waits for it", "tool 60000 never said", true],
  ["after its model has answered", "say answered", false],
] as const) {
  test(
    `a sandbox that cannot be had ${what} ends the turn and the job, and the model's cost counts`,
    inWorld(async (world) => {
      let fail = () => {};
      world.machine.onCreate = () =>
        new Promise((_, reject) => {
          fail = () => reject(NO_SANDBOX);
        });
      const [id = ""] = await world.start(prompt);
      await firstAsked(world);
      await world.clock.advance(1_000);
      expect(world.runtime.activity.of(world.job(id).childSession).tool !== null).toBe(isToolSeen);
      fail();
      const job = await world.reaches(id, "failed");
      expect(job.state).toMatchObject({ failure: { code: "sandbox_create_failed", message: "no sandbox today" } });
      expect([job.modelUsd, job.sandbox.kind]).toEqual([world.sessions.usdPerAnswer, "none"]);
      if (prompt === "say answered") expect(job.state).toMatchObject({ result: "answered" });
      await expectNothingLeft(world);
    }),
  );
}

test(
  "a model that fails at once gives up the sandbox that is being made, and a message wakes the job with another",
  inWorld(async (world) => {
    const { id, creation } = await startSlowly(world, "fail APIError");
    expect((await world.reaches(id, "failed")).state).toMatchObject({ failure: { code: "model_error" } });
    creation.open();
    await expectNothingLeft(world);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say again", interrupt: false });
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "again" });
  }),
);

test(
  "a job cancelled while its model works without a sandbox leaves nothing",
  inWorld(async (world) => {
    const { id, creation } = await startSlowly(world, "hang");
    const cancelling = cancelJobs(world.runtime, ORCHESTRATOR, [id], "enough");
    await world.reaches(id, "cancelled");
    creation.open();
    await expectNothingLeft(world);
    await cancelling;
    expect(world.job(id)).toMatchObject({ state: { kind: "cancelled", reason: "enough" }, sandbox: { kind: "none" } });
  }),
);

test(
  "messages reach a job before its sandbox is there; one that interrupts is the next turn at once",
  inWorld(async (world) => {
    const { id, creation } = await startSlowly(world, "hang");
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 9000 other", interrupt: true });
    await world.clock.until("it is asked again", () => asked(world).length === 2);
    expect(world.job(id).state.kind).toBe("starting");
    creation.open();
    await world.reaches(id, "running");
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say last", interrupt: false });
    const { state, answers } = await world.reaches(id, "completed");
    expect([state, answers]).toMatchObject([{ result: "last" }, [{ turn: 2, text: "other" }]]);
    expect(asked(world)).toEqual(["hang", "work 9000 other", "say last"]);
  }),
);

test(
  "a follow-up is prompted while the parked sandbox is revived",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say first");
    await world.reaches(id, "completed");
    await world.clock.advance(90_000);
    expect(world.job(id).sandbox.kind).toBe("parked");
    const creation = slowly(world);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 5000 second", interrupt: false });
    await world.clock.until("it is asked again", () => asked(world).length === 2);
    expect(world.job(id)).toMatchObject({ state: { kind: "starting" }, sandbox: { kind: "parked" } });
    creation.open();
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "second" });
  }),
);

test(
  "after a restart in the middle, the turn is taken up once there is a sandbox",
  inWorld(async (world) => {
    const { id, creation } = await startSlowly(world, "work 500 1");
    await world.close(world.runtime);
    creation.open();
    const other = slowly(world);
    await world.reopen();
    await world.clock.advance(5_000);
    expect([world.job(id).state.kind, asked(world).length]).toEqual(["starting", 1]);
    other.open();
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "1" });
    await expectNothingLeft(world);
  }),
);

const withGpu = optionsSchema.parse({ environments: { default: { gpu: "T4" } } });

test(
  "a job that wants a GPU is prompted when it has it",
  inWorld(
    async (world) => {
      const creation = slowly(world);
      await world.start("say done");
      await world.clock.advance(60_000);
      expect([world.sessions.created, asked(world)]).toEqual([[], []]);
      creation.open();
      await firstAsked(world);
    },
    { environments: withGpu.environments },
    { providerName: "modal" },
  ),
);

test("a job is prompted when it has its sandbox where only that tells its folders", async () => {
  const machine = createMemoryMachine();
  const body = async (world: World) => {
    const creation = slowly({ machine });
    const [id = ""] = await world.start("say done");
    await world.clock.advance(60_000);
    expect(asked(world)).toEqual([]);
    creation.open();
    await world.reaches(id, "completed");
  };
  await inWorld(body, {}, { createProvider: async () => ({ ...machine.open(), place: null }) })();
});

test(
  "the money that a model spends before there is a sandbox is watched",
  inWorld(async (world) => {
    const creation = slowly(world);
    world.sessions.usdPerAnswer = 5;
    const [id = ""] = await world.start({ description: "d", prompt: "steps then hang a|b|c", max_usd: 1 });
    const { state } = await world.reaches(id, "failed");
    expect(state).toMatchObject({ failure: { code: "budget_exceeded" } });
    creation.open();
    await expectNothingLeft(world);
  }, {}),
);
