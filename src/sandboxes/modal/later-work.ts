import type { Log } from "../../shared/log.ts";
import type { SandboxSpec } from "../port.ts";
import { reportOrphan } from "./orphans.ts";

/** Work that goes on when whoever asked for it has been answered, most of it the ends of sandboxes that nobody gets. */
export class LaterWork {
  readonly #log: Log;
  readonly #running = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param name of the sandbox that is to be ended, for the log */
  add(work: Promise<unknown>, name = "late"): void {
    const done = work.then(() => {}, reportOrphan(this.#log, name)).finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  /** Whoever wanted the sandbox, which has been made, pays for it until it is ended. @param since epoch ms; null = unknown */
  endUngiven(
    { name, tags, moreTags, onLeftEnded }: SandboxSpec,
    id: string,
    since: number | null,
    ending: Promise<void>,
  ): void {
    const left = { id, tags: { ...tags, ...moreTags }, createdAt: since, billedSince: since };
    this.add(
      ending.then(() => onLeftEnded?.(left)),
      name,
    );
  }

  /** Resolves when nothing goes on any more. Never rejects. */
  async done(): Promise<void> {
    await Promise.all(this.#running);
  }
}
