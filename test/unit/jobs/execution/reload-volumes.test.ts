import { expect, test } from "bun:test";
import { optionsSchema } from "../../../../src/config/schema.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import type { VolumeReload } from "../../../../src/sandboxes/port.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const options = optionsSchema.parse({
  environments: { default: { volumes: { "/data": "d", "/runs": { name: "r" } } } },
});
const withVolumes = { environments: options.environments };

/** What the second turn of a job was prompted with, where a reload of its volumes ends like this. */
async function secondPrompt(world: World, reload: () => VolumeReload): Promise<string> {
  const [id = ""] = await world.start("work 1000 first");
  await world.reaches(id, "running");
  world.machine.onReload = reload;
  await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say second", interrupt: false });
  const { state } = await world.reaches(id, "completed", "failed");
  expect(state).toMatchObject({ kind: "completed", result: "second" });
  return world.sessions.prompts.at(-1)?.text ?? "";
}

test(
  "a job's volumes are reloaded before each turn, without a word where that works",
  inWorld(async (world) => {
    let reloads = 0;
    const text = await secondPrompt(world, () => {
      reloads++;
      return { kind: "reloaded" };
    });
    expect([reloads, text]).toEqual([1, "say second"]);
  }, withVolumes),
);

test(
  "open files on a volume are explained to the agent, and its turn goes on",
  inWorld(async (world) => {
    const text = await secondPrompt(world, () => ({ kind: "busy", why: "volume busy" }));
    expect(text).toMatch(
      /committed to your volumes \(\/data, \/runs\).*keep files open.*volume busy.*\n\nsay second$/s,
    );
  }, withVolumes),
);

test(
  "a reload that fails is told too, and its turn goes on",
  inWorld(async (world) => {
    const text = await secondPrompt(world, () => {
      throw new PluginError("sandbox_lost", "no answer came", { retryable: true });
    });
    expect(text).toMatch(/committed to your volumes.*failed: no answer came.*earlier state.*\n\nsay second$/s);
    expect(world.loggedProblems).toEqual([expect.stringContaining("could not reload a job's volumes")]);
  }, withVolumes),
);

test(
  "a job without volumes has nothing reloaded",
  inWorld(async (world) => {
    expect(
      await secondPrompt(world, () => {
        throw new Error("it has none");
      }),
    ).toBe("say second");
  }),
);
