import { describe, expect, test } from "bun:test";
import { defaultOptions } from "../../../../src/config/schema.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { inWorld, type World } from "../runtime-world.ts";
import { sandboxIDOf } from "./lost-sandbox-support.ts";
import { begun, exited, followRuns, killAndReopen, run, type Started } from "./runs-support.ts";

const OPTIONS = { modal: { ...defaultOptions("/state").modal, gpuWaitMinutes: 60 } };
const GPU = { gpu: "H100" };

/** A run has lost its sandbox under its command, and finds no GPU free for another one. */
async function waitAfterLoss(world: World, started: readonly Started[]) {
  const gpus = { areFree: true };
  world.machine.keepsLast = true;
  world.machine.onCreate = async () => {
    if (!gpus.areFree) throw new PluginError("no_capacity", "no H100", { retryable: true });
  };
  const [id = ""] = await world.start(run("train", GPU));
  const { process } = await begun(world, started);
  gpus.areFree = false;
  process.break("the sandbox ended");
  world.machine.lose(sandboxIDOf(world, id));
  await world.clock.until("it was refused a GPU", () => world.job(id).gpuWait?.retryAt ?? null);
  return { id, gpus };
}

const WAYS = { reloads: (world: World) => world.reopen(), "is killed": killAndReopen };

describe("a run that waits for a sandbox after the loss of its own", () => {
  for (const [what, end] of Object.entries(WAYS))
    test(
      `begins again, once, when OpenCode ${what} meanwhile`,
      inWorld(
        async (world) => {
          const started = followRuns(world);
          const { id, gpus } = await waitAfterLoss(world, started);
          await end(world);
          await world.clock.advance(60_000);
          await end(world);
          gpus.areFree = true;
          const { process } = await begun(world, started, 2);
          expect(world.job(id)).toMatchObject({ state: { kind: "running" }, attempts: 2 });
          expect(world.job(id).notes).toEqual([expect.stringContaining("it began again by itself from its files")]);
          process.end({ kind: "unknown", reason: "x" });
          await killAndReopen(world);
          const { state } = await world.reaches(id, "failed");
          expect(state).toMatchObject({ failure: { code: "restart_unrecoverable" } });
          expect(started).toHaveLength(2);
        },
        OPTIONS,
        { providerName: "modal" },
      ),
    );

  test(
    "fails when it loses that one too",
    inWorld(
      async (world) => {
        const started = followRuns(world);
        const { id, gpus } = await waitAfterLoss(world, started);
        await world.reopen();
        gpus.areFree = true;
        const { process } = await begun(world, started, 2);
        process.break("the sandbox ended");
        world.machine.lose(sandboxIDOf(world, id));
        const { state } = await world.reaches(id, "failed");
        expect(state).toMatchObject({ failure: { code: "sandbox_lost" } });
        expect(started).toHaveLength(2);
      },
      OPTIONS,
      { providerName: "modal" },
    ),
  );

  test(
    "ends as any other when its second try succeeds",
    inWorld(
      async (world) => {
        const started = followRuns(world);
        const { id, gpus } = await waitAfterLoss(world, started);
        await world.reopen();
        gpus.areFree = true;
        (await begun(world, started, 2)).process.end(exited(0));
        expect(await world.reaches(id, "completed")).toMatchObject({ attempts: 2, exitCode: 0 });
      },
      OPTIONS,
      { providerName: "modal" },
    ),
  );
});
