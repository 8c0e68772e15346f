import { defaultOptions } from "../../src/config/schema.ts";
import type { Credentials } from "../../src/sandboxes/modal/credentials.ts";
import { messageOf } from "../../src/sandboxes/modal/modal-error.ts";
import { createModalProvider } from "../../src/sandboxes/modal/modal-provider.ts";
import { importSdk } from "../../src/sandboxes/modal/sdk.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import { within } from "../../src/shared/time-limit.ts";
import { Created } from "./created.ts";
import { estimateOf } from "./estimate.ts";
import { liveFor } from "./live.ts";
import { type LiveCheck, type Scale, seconds, uniqueName } from "./live-check.ts";
import { type Row, tableOf } from "./report.ts";

const CALL_MS = 30_000;

export interface RunRequest {
  readonly credentials: Credentials;
  readonly checks: readonly LiveCheck[];
  readonly scale: Scale;
  /** Aborted to stop early; what was created is removed all the same. */
  readonly signal: AbortSignal;
  readonly print: (text: string) => void;
}

export interface RunResult {
  readonly rows: readonly Row[];
  /** What could not be removed. */
  readonly left: readonly string[];
}

/**
 * Runs the checks one after the other in a Modal app of this run's own, and prints what each found and a table of all. A
 * check that fails stops no other. In the end everything that was created is removed.
 */
export async function runChecks({ credentials, checks, scale, signal, print }: RunRequest): Promise<RunResult> {
  const name = uniqueName("parallel-agents-live");
  const estimate = checks.reduce((sum, check) => sum + estimateOf(check), 0);
  print(
    `At most $${estimate.toFixed(2)} at list prices, if every sandbox lived to its end; building images adds cents. Stop with ctrl+c: everything is removed.`,
  );
  const { ModalClient } = (await importSdk()) as typeof import("modal");
  const { tokenId, tokenSecret } = credentials.kind === "token" ? credentials : {};
  const client = new ModalClient({ ...(tokenId && tokenSecret && { tokenId, tokenSecret }), maxThrottleWaitSecs: 5 });
  const app = await within(client.apps.fromName(name, { createIfMissing: true }), {
    clock: systemClock,
    limitMs: CALL_MS,
    doing: "Making the app",
  });
  print(`App ${name}`);
  const created = new Created();
  const provider = createModalProvider({
    options: { ...defaultOptions("/").modal, app: name },
    credentials,
    clock: systemClock,
    log: (level, message, fields) => {
      if (level === "warn" || level === "error") print(`  ${message} ${JSON.stringify(fields ?? {})}`);
    },
    ids: () => randomId("x").slice(2),
  });
  const rows: Row[] = [];
  try {
    for (const check of checks) {
      print(`\n${check.name} (at most $${estimateOf(check).toFixed(2)})\n  assumed: ${check.assumes}`);
      const row = signal.aborted
        ? { check, finding: { verdict: "not run", found: "stopped before it" } as const, tookMs: 0 }
        : await runOne(check, liveFor(check, { client, app, provider, created, scale, signal }), signal);
      rows.push(row);
      print(`  ${row.finding.verdict}, ${seconds(row.tookMs)}: ${row.finding.found}`);
      print(`  used by ${check.usedBy.join(", ")}`);
    }
  } finally {
    await within(provider.close(), { clock: systemClock, limitMs: CALL_MS, doing: "Closing the provider" }).catch(
      () => {},
    );
    print(`\nRemoving ${created.describe()}, and the app.`);
  }
  const left = await created.removeAll(client, app, scale);
  client.close();
  print(left.length === 0 ? "All of it is removed." : `Left: ${left.join("; ")}`);
  print(`\n${tableOf(rows)}`);
  return { rows, left };
}

async function runOne(check: LiveCheck, live: ReturnType<typeof liveFor>, signal: AbortSignal): Promise<Row> {
  const startedAt = performance.now();
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
  });
  const finding = await Promise.race([check.run(live), stopped]).catch((error: unknown) => ({
    verdict: signal.aborted ? ("not run" as const) : ("failed" as const),
    found: messageOf(error),
  }));
  return { check, finding, tookMs: performance.now() - startedAt };
}
