import { bytes, inWorld, text, type World } from "../runtime-world.ts";

export const MIN = 60_000;
export const sandboxIDOf = (world: World, id: string): string => {
  const { sandbox } = world.job(id);
  if (sandbox.kind !== "live") throw new Error(sandbox.kind);
  return sandbox.id;
};
export const write = (world: World, id: string, content: string) =>
  world.runtime.lifecycle.live(id)?.writeFile("note", bytes(content));
export const readNote = async (world: World, id: string) =>
  text(await world.runtime.lifecycle.live(id)?.readFile("note", { offset: 0, maxBytes: 99 }));

/** Loses the job's sandbox, and waits until the job works in another one. */
export async function loseAndGoOn(world: World, id: string): Promise<void> {
  const lost = sandboxIDOf(world, id);
  world.machine.lose(lost);
  await world.clock.until(`${id} has another sandbox`, () => {
    const { sandbox } = world.job(id);
    return sandbox.kind === "live" && sandbox.id !== lost;
  });
  await world.clock.advance(1_000);
}

/** A test in a world whose machine has the last files of lost sandboxes. */
export const keeping =
  (body: (world: World) => Promise<void>, ...more: unknown[]) =>
  () =>
    inWorld(
      async (world) => {
        world.machine.keepsLast = true;
        await body(world);
      },
      ...(more as [never]),
    )();
