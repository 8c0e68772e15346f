import { existsSync } from "node:fs";
import { withTimeZone } from "../config/time-zone.ts";
import { describeDamage } from "../core/damaged-state.ts";
import { openFoundation } from "../jobs/foundation.ts";
import type { GarbageReport } from "../jobs/sandbox/garbage-collector.ts";
import { createProvider } from "../providers/create-provider.ts";
import { chooseProvider } from "../providers/provider-choice.ts";
import { systemClock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { randomId } from "../shared/ids.ts";
import { loadCliOptions } from "./cli-options.ts";

/**
 * Collects garbage now, without starting any job.
 * @param stateDir replaces the options' state directory; may be relative
 * @throws PluginError `config_invalid`
 */
export async function collectGarbageNow(stateDir: string | null): Promise<GarbageReport> {
  const options = await loadCliOptions(stateDir);
  // What was to be cleared away lies elsewhere, and opening would make it here.
  if (stateDir !== null && !existsSync(options.stateDir))
    throw new PluginError("config_invalid", `There is no state directory ${options.stateDir}; name another.`, {
      retryable: false,
    });
  const log = () => {}; // the report names every failure
  const foundation = await openFoundation({
    options,
    providerName: chooseProvider(options, process.env).name,
    createProvider: (name, limiter) => createProvider(name, options, null, limiter, log),
    directory: null,
    hostEnv: withTimeZone(process.env),
    clock: systemClock,
    ids: randomId,
    log,
  });
  try {
    const report = await foundation.garbageCollector.collectGarbage();
    return { ...report, failures: [...describeDamage(foundation.pool, []), ...report.failures] };
  } finally {
    await foundation.close();
  }
}

export function renderGarbageReport({ ended, parked, snapshotsRemoved, failures }: GarbageReport): string {
  const lines = [
    ...ended.map((id) => `ended the orphaned sandbox ${id}`),
    ...parked.map((id) => `froze and ended the sandbox ${id} of a finished job`),
    ...snapshotsRemoved.map((id) => `removed the snapshot ${id}`),
    ...failures,
  ];
  return lines.length === 0 ? "Nothing to clean up." : lines.join("\n");
}
