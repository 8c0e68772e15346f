import type { ModalClient, Sandbox } from "modal";
import type { Clock } from "../../shared/clock.ts";
import { sleep } from "../../shared/clock.ts";
import { within } from "../../shared/deadline.ts";
import type { Log } from "../../shared/log.ts";
import type { ModalLimits } from "./limits.ts";
import { isRetryable, kindOf, wordsOf } from "./modal-error.ts";

export interface StrayDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: ModalLimits;
}

const RETRY_MS = [500, 2_000, 5_000];
const LOOK_MS = 250;

/**
 * Ends a sandbox and lets go of its connection, two things. Rejects with what the SDK throws when that could not be
 * had; a sandbox that is no more is no error.
 */
export async function endSandbox(sandbox: Sandbox, { clock, log, limits }: StrayDeps): Promise<void> {
  const limit = { clock, limitMs: limits.callMs, doing: `Ending sandbox ${sandbox.sandboxId}` };
  try {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await within(sandbox.terminate(), limit);
        break;
      } catch (error) {
        const kind = kindOf(error);
        if (kind === "gone" || kind === "invalid") return;
        const delayMs = RETRY_MS[attempt];
        if (delayMs === undefined || isRetryable(kind) === false) throw error;
        await sleep(clock, delayMs);
      }
    }
    if (!(await isSeenEnded(sandbox, clock, limits)))
      log("warn", "A terminated sandbox is not seen ended yet", { sandboxID: sandbox.sandboxId });
  } finally {
    sandbox.detach();
  }
}

async function isSeenEnded(sandbox: Sandbox, clock: Clock, limits: ModalLimits): Promise<boolean> {
  for (const until = clock.now() + limits.terminateMs; ; await sleep(clock, LOOK_MS)) {
    const limitMs = Math.max(1, until - clock.now());
    const code = await within(sandbox.poll(), { clock, limitMs, doing: "Looking at a terminated sandbox" }).catch(
      (error: unknown) => (kindOf(error) === "gone" ? 137 : null),
    );
    if (code !== null) return true;
    if (clock.now() + LOOK_MS >= until) return false;
  }
}

export interface StrayName {
  readonly app: string;
  readonly environment: string | null;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Ends the sandbox of that name, if there is one with the tags of ours: one whose creation we gave up on, or of which
 * the reply was lost. @returns whether there was one. Rejects with what the SDK throws.
 */
export async function endByName(
  client: ModalClient,
  { app, environment, name, tags }: StrayName,
  deps: StrayDeps,
): Promise<boolean> {
  const limit = { clock: deps.clock, limitMs: deps.limits.callMs, doing: `Looking for sandbox ${name}` };
  let found: Sandbox;
  try {
    found = await within(client.sandboxes.fromName(app, name, environment === null ? {} : { environment }), limit);
  } catch (error) {
    if (kindOf(error) === "gone") return false;
    throw error;
  }
  const theirs = await within(found.getTags(), limit);
  if (!Object.entries(tags).every(([key, value]) => theirs[key] === value)) {
    found.detach();
    return false;
  }
  await endSandbox(found, deps);
  deps.log("info", "A stray sandbox was ended", { sandboxID: found.sandboxId, name });
  return true;
}

/** For what nobody waits for any more. */
export const reportStray = (log: Log, name: string) => (error: unknown) =>
  log("warn", "A stray sandbox could not be ended; its own time limits will end it", { name, error: wordsOf(error) });
