import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { IsolationBackend, IsolationPlan } from "../../src/sandboxes/local/isolation.ts";
import { dirsAt, PARTS } from "../../src/sandboxes/local/layout.ts";
import { probeIsolation, requireIsolation } from "../../src/sandboxes/local/probe.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { newID } from "./local-support.ts";

/** What separates sandboxes on this machine, without the provider around it. */
export const bubblewrapBackend = async (rootDir: string): Promise<IsolationBackend> =>
  requireIsolation(
    await probeIsolation({ rootDir, isolation: "bubblewrap", clock: systemClock, log: () => {}, ids: newID }),
  );

/** A plan for directories that lie under a temporary name, and what tells that they are filled. */
export function planInMaking(rootDir: string, network: IsolationPlan["network"]) {
  const id = newID();
  const making = dirsAt(join(rootDir, `.${id}.half`));
  for (const part of PARTS) mkdirSync(making[part], { recursive: true, mode: 0o700 });
  const filling = Promise.withResolvers<void>();
  filling.promise.catch(() => {}); // it may be rejected before anybody waits for it
  const plan: IsolationPlan = {
    id,
    dirs: dirsAt(join(rootDir, id)),
    making: { dirs: making, filled: filling.promise },
    workdir: "/workspace",
    env: {},
    network,
    limits: { processes: 64, memoryMiB: 512, diskMiB: 64, files: 1_000 },
    gpus: null,
  };
  return { plan, making, filling };
}
