import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createGarbageCollector } from "../../../../src/jobs/sandbox/garbage-collector.ts";
import type { SandboxProvider } from "../../../../src/sandboxes/port.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { until } from "../../../support/wait.ts";
import { createWorld, openProcess, type World } from "./environment-world.ts";

export type KillAt = "command" | "snapshot" | "record";

interface Place {
  readonly name: "local" | "modal";
  readonly open: (world: World) => SandboxProvider;
  /** What is left of snapshots, by id. */
  readonly snapshots: (world: World) => string[] | null;
}

/** What is left of a build whose process is killed at any moment, and who goes on with it. */
export function killedBuilds({ name, open, snapshots }: Place, moments: readonly KillAt[]): void {
  test.each([...moments])(
    `${name}: a build whose process is killed at its %s is done again by another, and nothing of it stays`,
    async (killAt) => {
      const world = createWorld();
      const provider = open(world);
      world.write("main.txt", "of the project");
      if (killAt === "command") world.write("slow", "");
      const environment = { setup: ["if [ -e slow ]; then sleep 600; fi", "cp main.txt ~/seen"] };
      const main = join(import.meta.dirname, "build-main.ts");
      const child = spawn(process.execPath, [main, world.folder, name, killAt, JSON.stringify(environment)], {
        stdio: ["ignore", "inherit", "inherit"],
      });
      const gone = once(child, "exit");
      const other = await openProcess(world, { environment, provider });
      try {
        let job: ReturnType<typeof other.run> | null = null;
        if (killAt === "command") {
          await until(() => other.status()?.record.build?.step === 1, { what: "its first command runs" });
          world.remove("slow");
          job = other.run("cat ~/seen");
          await until(() => other.steps.some((step) => step.kind === "setup"), { what: "the other process waits" });
          child.kill("SIGKILL");
          // What it costs from then on is charged by whoever ends it.
          const [left] = other.pool.sandboxes();
          expect(other.pool.sandboxCost(left?.id ?? "")?.usdPerHour ?? -1)[
            name === "local" ? "toBe" : "toBeGreaterThan"
          ](0);
        }
        const [, signal] = await gone;
        expect(signal).toBe("SIGKILL");
        expect((await (job ?? other.run("cat ~/seen"))).output).toBe("of the project");
        expect(other.status()).toMatchObject({ state: "ready", record: { build: null, failed: null, former: null } });
        const collector = createGarbageCollector({
        pool: other.pool, provider: async () => provider, providers: [name], images: other.images,
        parking: { parkOnce: async () => {} }, snapshots: { remove: async () => [], removeUnneeded: async () => [] },
        registry: { isDeleted: () => false, damagedAt: () => null, visit: async (_, use) => use(null) },
        parkAfterMs: 0, creationMs: 0, clock: systemClock, log: () => {},
      }); // biome-ignore format: one value
        const { failures } = await collector.collectGarbage();
        expect(failures).toEqual([]);
        await until(async () => (await provider.list()).length === 0, { what: "every sandbox has ended" });
        expect(other.pool.sandboxes()).toEqual([]);
        const image = other.status()?.record.image?.snapshotID ?? "";
        expect(snapshots(world) ?? [image]).toEqual([image]);
      } finally {
        child.kill("SIGKILL");
        await other.close().catch(() => {});
        await provider.close();
        world.end();
      }
    },
  );
}
