import { expect } from "bun:test";
import { sandboxTest } from "../support/sandboxes.ts";
import { runChaos } from "./chaos-run.ts";

// `npm run chaos` plays many more. These kill early, twice, and late.
for (const seed of [3, 6, 2]) {
  sandboxTest(
    `killed at the moments of seed ${seed}, OpenCode loses no job and no result, and tells nothing twice`,
    async () => {
      const { jobs, problems } = await runChaos(seed, "local");
      expect(problems).toEqual([]);
      expect(jobs).toBe(6);
    },
    240_000,
  );
}
