import type { Clock } from "../../shared/clock.ts";
import { within } from "../../shared/time-limit.ts";
import { during, type Progress } from "../progress.ts";
import type { Diagnosis, Finding, Level } from "./finding.ts";

export interface Check {
  readonly name: string;
  /** What is done, for the progress: "Asking OpenCode for its version". */
  readonly doing: string;
  readonly limitMs: number;
  /** What it means when the check itself cannot be made. */
  readonly ifBroken: Level;
  /** Ends soon after `signal` is aborted: at the limit of time, or when the user has interrupted. */
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

export interface RunDeps {
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** How long a check may take to clear up after it was stopped. */
const CLEAR_UP_MS = 20_000;

const ORDER: Readonly<Record<Level, number>> = { fault: 0, warning: 1, ok: 2 };

/** Makes all checks at once. Never rejects: a check that fails is a finding. */
export async function runChecks(checks: readonly Check[], deps: RunDeps): Promise<Diagnosis> {
  const found = await Promise.all(checks.map((check) => during(deps.progress, check.doing, () => runOne(check, deps))));
  const findings = found.flat().sort((a, b) => ORDER[a.level] - ORDER[b.level]);
  return { ok: findings.every(({ level }) => level !== "fault"), findings };
}

async function runOne(check: Check, { clock, signal }: RunDeps): Promise<readonly Finding[]> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const work = (async () => check.run(stop.signal))();
  try {
    return await within(work, { clock, limitMs: check.limitMs, doing: check.doing, signal });
  } catch (error) {
    stop.abort();
    // What it has made is removed before anything is said.
    await within(work, { clock, limitMs: CLEAR_UP_MS, doing: check.doing }).catch(() => {});
    return [brokenCheck(check, error)];
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function brokenCheck({ name, ifBroken }: Check, error: unknown): Finding {
  const why = error instanceof Error ? error.message : String(error);
  return {
    name,
    level: ifBroken,
    meaning: `This could not be checked: ${why}.`,
    remedy:
      "If the reason is of this machine, remove it and run doctor again; otherwise report it with the output of doctor --json.",
  };
}
