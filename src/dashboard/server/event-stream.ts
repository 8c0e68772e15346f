import type { Clock } from "../../shared/clock.ts";
import { type Parts, renderChange, renderState } from "./parts.ts";

/** The connection to a page. */
export interface Outlet {
  /** @returns false = what was written is not on its way yet; `onDrain` says when it is */
  write(text: string): boolean;
  onDrain(listener: () => void): void;
  /** Ends the connection, whatever was written. */
  cut(): void;
}

/** Between two signs of life, so that a page knows a dead connection from a quiet one. */
const HEARTBEAT_MS = 10_000;
/** A page that takes nothing for this long is gone, or will come back by itself. */
const GONE_MS = 60_000;

/**
 * Server-sent events for one page: the whole state first, then what changed since the last event. While the page is slow
 * nothing is kept for it: it gets the difference to what it has as soon as it can take it.
 */
export class EventStream {
  #sent: Parts | null = null;
  #latest: Parts | null = null;
  #isFull = false;
  #stopTimer = () => {};
  readonly #outlet: Outlet;
  readonly #clock: Clock;

  constructor(outlet: Outlet, clock: Clock) {
    this.#outlet = outlet;
    this.#clock = clock;
    outlet.onDrain(() => {
      this.#isFull = false;
      this.#send();
    });
    this.#beat();
  }

  update(parts: Parts): void {
    this.#latest = parts;
    this.#send();
  }

  close(): void {
    this.#stopTimer();
  }

  #send(): void {
    if (this.#isFull || !this.#latest || this.#latest === this.#sent) return;
    const [event, data] = this.#sent
      ? (["change", renderChange(this.#sent, this.#latest)] as const)
      : (["state", renderState(this.#latest)] as const);
    if (data === null) return;
    this.#sent = this.#latest;
    this.#write(`event: ${event}\ndata: ${data}\n\n`);
  }

  #write(text: string): void {
    this.#isFull = !this.#outlet.write(text);
    this.#stopTimer();
    this.#beat();
  }

  #beat(): void {
    const isFull = this.#isFull;
    this.#stopTimer = this.#clock.after(isFull ? GONE_MS : HEARTBEAT_MS, () =>
      isFull ? this.#outlet.cut() : this.#write(": still here\n\n"),
    );
  }
}
