import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";

/** How long a directory waits for others. */
const WAIT_MS = 1_000;

/**
 * Removes the directories of ended sandboxes, those of a second together: OpenCode stands still while a program is started,
 * and hundreds of short runs would start one each. What waits has a temporary name already, by which another process finds
 * and removes it if this one dies (L2).
 */
export class Removals {
  readonly #remove: (paths: readonly string[]) => Promise<void>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #underWay = new Set<Promise<void>>();
  #waiting: string[] = [];
  #cancel = () => {};

  constructor(remove: (paths: readonly string[]) => Promise<void>, clock: Clock, log: Log) {
    this.#remove = remove;
    this.#clock = clock;
    this.#log = log;
  }

  /** @param path absolute */
  add(path: string): void {
    this.#waiting.push(path);
    if (this.#waiting.length === 1) this.#cancel = this.#clock.after(WAIT_MS, () => this.#start());
  }

  /** Removes what waits. Resolves when nothing is left that can be removed. */
  async finish(): Promise<void> {
    this.#cancel();
    this.#start();
    await Promise.all(this.#underWay);
  }

  #start(): void {
    const paths = this.#waiting;
    if (paths.length === 0) return;
    this.#waiting = [];
    const removing = this.#remove(paths)
      .catch((error: unknown) =>
        this.#log("warn", "Files of ended sandboxes could not be removed", { paths, error: String(error) }),
      )
      .finally(() => this.#underWay.delete(removing));
    this.#underWay.add(removing);
  }
}
