import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseGpu } from "../../src/config/gpu.ts";
import { findCredentials } from "../../src/sandboxes/modal/credentials.ts";
import { messageOf } from "../../src/sandboxes/modal/modal-error.ts";
import { holdProcess } from "../../src/shared/clock.ts";
import { ALL_CHECKS } from "./all-checks.ts";
import { manyGpus } from "./checks/gpus.ts";
import { type LiveCheck, REAL, type Scale } from "./live-check.ts";
import { runChecks } from "./run-checks.ts";

/*
 * Asks Modal's own service what the code takes for granted, for less than a dollar. See docs/first-hour.md.
 *   npm run test:live                          the checks
 *   npm run test:live -- --only expiry         those whose names contain this word
 *   npm run test:live -- --gpus 8 --gpu H100!  that many GPUs in one sandbox too
 *   npm run test:live -- --contract            the provider contract too
 *   npm run test:live -- --tree-mib 64         a smaller tree; --second-ms 50 where the service's seconds are short
 */

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    gpus: { type: "string" },
    gpu: { type: "string", default: "H100!" },
    contract: { type: "boolean", default: false },
    "tree-mib": { type: "string" },
    "second-ms": { type: "string" },
  },
});

// Not by itself: a call that nobody waits for any more would keep the process.
process.exit(await main());

async function main(): Promise<number> {
  const found = findCredentials(process.env, (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return null;
    }
  });
  if (found.kind !== "found") {
    console.log(`Skipped; nothing was created. ${found.message}`);
    return 0;
  }
  let checks: readonly LiveCheck[];
  let scale: Scale;
  try {
    checks = wanted();
    scale = scaleWanted();
  } catch (error) {
    console.log(messageOf(error));
    return 2;
  }
  const stop = new AbortController();
  const release = holdProcess();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupt(stop, signal));
  try {
    const { rows, left } = await runChecks({
      credentials: found.credentials,
      checks,
      scale,
      signal: stop.signal,
      print: (text) => console.log(text),
    });
    const wrong = rows.filter(({ finding }) => !["as assumed", "not shown"].includes(finding.verdict));
    return wrong.length + left.length === 0 && contractHolds(stop.signal) ? 0 : 1;
  } catch (error) {
    console.log(`The checks could not begin: ${messageOf(error)}`);
    return 1;
  } finally {
    release();
  }
}

function wanted(): readonly LiveCheck[] {
  const { only, gpus, gpu } = values;
  const checks = ALL_CHECKS.filter(({ name }) => only === undefined || name.includes(only));
  if (only !== undefined && checks.length === 0 && gpus === undefined)
    throw new Error(`No check is named ${only}; the names are ${ALL_CHECKS.map(({ name }) => name).join(", ")}.`);
  if (gpus === undefined) return checks;
  const parsed = parseGpu(`${gpu}:${gpus}`);
  if (parsed.kind === "invalid") throw new Error(parsed.message);
  const [request] = parsed.preferences;
  return request === undefined ? checks : [...checks, manyGpus(request)];
}

function scaleWanted(): Scale {
  const positive = (name: "tree-mib" | "second-ms", real: number): number => {
    const value = Number(values[name] ?? real);
    if (!(value > 0)) throw new Error(`--${name} must be a number above 0, not ${values[name]}`);
    return value;
  };
  return { ...REAL, treeMiB: positive("tree-mib", REAL.treeMiB), secondMs: positive("second-ms", REAL.secondMs) };
}

function interrupt(stop: AbortController, signal: string): void {
  if (stop.signal.aborted) {
    console.log("Not everything was removed. The sandboxes end with their lifetimes, within 45 minutes.");
    process.exit(130);
  }
  console.log(`\n${signal}: stopping, and removing what was created. Once more to leave at once.`);
  stop.abort();
}

/** Whether the provider contract holds, in an app of its own that it stops. True unless it was asked for. */
function contractHolds(signal: AbortSignal): boolean {
  if (!values.contract || signal.aborted) return true;
  const args = ["test", "--timeout", "300000", "./test/live"];
  return spawnSync(process.execPath, args, { stdio: "inherit" }).status === 0;
}
