import { chance } from "../../shared/chance.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { AbandonedError } from "../../shared/time-limit.ts";
import { kindOf, messageOf } from "./modal-error.ts";

/** The first pause, doubled at each refusal: most limits are reached for moments, while other sandboxes end. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 20_000;
/** A refusal that is this much older than the next one belongs to an earlier wait. */
const FORGOTTEN_AFTER_MS = 5 * 60_000;

export interface QuotaWait {
  /** What the sandbox is named after: whoever asks again for the same, such as for another GPU, goes on with its wait. */
  readonly name: string;
  /** Longest wait, over all calls for the same. */
  readonly limitMs: number;
  readonly doing: string;
  /** Called at each refusal. @param since when the wait began, epoch ms @param why Modal's words */
  readonly onWait: (since: number, why: string) => void;
  readonly signal?: AbortSignal | undefined;
}

interface Wait {
  readonly since: number;
  readonly last: number;
  readonly refusals: number;
}

/**
 * Waits where Modal refuses a creation because the workspace has as many sandboxes or GPUs as it may have: others end, and
 * another type of GPU would be refused as well.
 */
export class QuotaWaits {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #waits = new Map<string, Wait>();

  constructor(deps: { readonly clock: Clock; readonly log: Log }) {
    this.#deps = deps;
  }

  /** Makes a call, and makes it again while Modal refuses it so. @throws what `call` throws, AbandonedError */
  async past<T>(call: () => Promise<T>, { name, limitMs, doing, onWait, signal }: QuotaWait): Promise<T> {
    const { clock, log } = this.#deps;
    for (;;) {
      try {
        const made = await call();
        this.#waits.delete(name);
        return made;
      } catch (error) {
        if (kindOf(error) !== "quota") {
          this.#waits.delete(name);
          throw error;
        }
        const { since, refusals } = this.#note(name);
        const leftMs = since + limitMs - clock.now();
        if (leftMs <= 0) throw error;
        const growingMs = FIRST_PAUSE_MS * 2 ** (refusals - 1);
        const pauseMs = Math.min(growingMs, LONGEST_PAUSE_MS, limitMs / 10) * (1 + chance() / 2);
        const why = messageOf(error);
        log("info", "a limit of the Modal workspace is reached; the creation waits", { doing, pauseMs, reason: why });
        onWait(since, why);
        await sleep(clock, Math.min(pauseMs, leftMs), signal);
        if (signal?.aborted) throw new AbandonedError(`${doing} was abandoned`);
      }
    }
  }

  /** Notes a refusal. */
  #note(name: string): Wait {
    const now = this.#deps.clock.now();
    const known = this.#waits.get(name);
    const former = known && now - known.last < FORGOTTEN_AFTER_MS ? known : { since: now, refusals: 0 };
    const wait = { since: former.since, last: now, refusals: former.refusals + 1 };
    this.#waits.set(name, wait);
    return wait;
  }
}
