import { expect } from "bun:test";
import { ORCHESTRATOR, type World } from "../runtime-world.ts";

/** The ended jobs that a text reports, e.g. "job_1 completed, job_2 failed". */
export const endsIn = (text: string): string =>
  [...text.matchAll(/<job id="(\w+)" state="(\w+)">/g)].map(([, id, state]) => `${id} ${state}`).join(", ");

/** The ended jobs that each message to the orchestrator reports. */
export const sentEnds = ({ orchestrators }: World): string[] => orchestrators.posts.map(({ text }) => endsIn(text));

/** Advances the clock until nothing is left to do, and expects that every notice was delivered. */
export async function expectAllDelivered({ clock, runtime }: World): Promise<void> {
  await clock.advance(600_000);
  expect((await runtime.sessionJobs(ORCHESTRATOR)).notices()).toEqual([]);
}
