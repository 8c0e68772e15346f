import type { Behaviour } from "./behaviour.ts";
import { refuse } from "./refusal.ts";

/** The times of one server: how long calls, builds, boots and ends take, the same ones in every run. */
export class Pace {
  readonly #behaviour: Behaviour;
  #seed = 1;

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
  }

  /** Real milliseconds of a call. */
  callMs(method: string): number {
    const { callSecs, execStartSecs } = this.#behaviour;
    return this.#real(method === "TaskExecStart" ? execStartSecs : callSecs);
  }

  // Cubed, because most sandboxes boot in seconds and few in a minute.
  bootMs = (): number => this.#between(this.#behaviour.bootSecs, 3);
  terminateMs = (): number => this.#between(this.#behaviour.terminateSecs, 1);
  buildMs = (): number => this.#between(this.#behaviour.buildSecs, 2);
  exitSnapshotMs = (): number => this.#real(this.#behaviour.exitSnapshotSecs);

  #between([least, most]: readonly [number, number], power: number): number {
    this.#seed = (this.#seed * 48_271) % 2_147_483_647;
    return this.#real(least + (most - least) * (this.#seed / 2_147_483_647) ** power);
  }

  #real = (secs: number): number => secs * this.#behaviour.latencySecondMs;
}

/** Counts creations as Modal does: a full bucket of `burst`, refilled at `perSecond`. Refused ones take nothing out. */
export class CreationRate {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #at = Date.now();

  constructor({ createsPerSecond, createsBurst }: Pick<Behaviour, "createsPerSecond" | "createsBurst">) {
    this.#perSecond = createsPerSecond;
    this.#burst = createsBurst;
    this.#left = createsBurst;
  }

  /** @throws Refusal RESOURCE_EXHAUSTED */
  take(): void {
    const now = Date.now();
    if (this.#perSecond !== Number.POSITIVE_INFINITY)
      this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#left < 1) refuse("RESOURCE_EXHAUSTED", `Sandbox creation rate limit (${this.#perSecond}/s) exceeded`);
    this.#left -= 1;
  }
}

/** Waits, but no longer than until `either` settles. */
export async function pause(ms: number, either?: Promise<unknown>): Promise<void> {
  if (ms <= 0) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([over, ...(either ? [either] : [])]);
  clearTimeout(timer);
}
