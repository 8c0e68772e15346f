import type { Clock } from "../shared/clock.ts";

/** Timers renew leases and end what is past its time, and they stand still while output is read. */
const LONGEST_MS = 10;

/** Measures how long output has been handed to its reader without a turn of the event loop in between. */
export class WorkTime {
  readonly #clock: Pick<Clock, "now">;
  #since: number;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Whether the event loop is to get a turn now. */
  get isOver(): boolean {
    const elapsed = this.#clock.now() - this.#since;
    return elapsed >= LONGEST_MS || elapsed < 0; // somebody has set the clock back
  }

  /** To be called after a turn of the event loop. */
  restart(): void {
    this.#since = this.#clock.now();
  }
}
