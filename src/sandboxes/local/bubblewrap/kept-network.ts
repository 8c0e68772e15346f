import type { Clock } from "../../../shared/clock.ts";

/*
 * Keeps up the network of a sandbox. K1: from the moment at which the host's addresses could not be looked up or blocked there
 * is no network, until they have been. K2: a helper that ends by itself is replaced, at growing intervals where that does not
 * help. K3: there is never more than one.
 */

export type LookUp = () => Promise<ReadonlySet<string>>;

/** A helper that provides the network. */
export interface RunningHelper {
  readonly stop: () => void;
  /** Resolves when it has ended, by itself too. */
  readonly gone: Promise<void>;
}

export interface KeptNetworkDeps<Helper extends RunningHelper> {
  /** Blocks those of the host's addresses that are not blocked yet. */
  readonly block: (addresses: ReadonlySet<string>) => Promise<void>;
  readonly startHelper: () => Promise<Helper>;
  readonly lookUp: LookUp;
  readonly clock: Clock;
  readonly onLost: (why: string) => void;
  readonly onBack: () => void;
}

/** A helper that has run for this long was not started in vain. */
const STEADY_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

export class KeptNetwork<Helper extends RunningHelper> {
  readonly #deps: KeptNetworkDeps<Helper>;
  #helper: { readonly running: Helper; readonly since: number } | null = null;
  /** A helper is being started, or stopped. */
  #isChanging = false;
  /** Another number when the helper that is being started must not be used any more. */
  #round = 0;
  /** Helpers in a row that ended soon, or did not come up. */
  #failures = 0;
  #retryAt = 0;
  #isStopped = false;
  #lost: string | null = "it is not up yet";
  #losses = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(deps: KeptNetworkDeps<Helper>) {
    this.#deps = deps;
  }

  /** Why there is none now; null = there is one. */
  readonly lost = (): string | null => this.#lost;
  /** How often it was lost so far. */
  readonly losses = (): number => this.#losses;

  /** @throws Error with the reason, after which there is none and will be none */
  async open(): Promise<Helper> {
    try {
      const helper = await this.#start();
      if (helper === null) throw new Error(this.#lost ?? "it was stopped");
      // For addresses that came while the helper started, and whose blocking failed then.
      await this.#block(this.#deps.lookUp);
      return helper;
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /**
   * Blocks those of the host's addresses that it has got since the last call, and starts a network that was lost again. To be
   * called often, and at once when the kernel reports a change. Never rejects, and waits for no helper to come up.
   */
  resync(lookUp: LookUp): Promise<void> {
    // One after another, so that no address is blocked twice.
    this.#last = this.#last.then(async () => {
      if (this.#isStopped) return;
      try {
        await this.#block(lookUp);
      } catch (error) {
        return this.#lose((error as Error).message);
      }
      if (this.#helper === null && !this.#isChanging && this.#deps.clock.now() >= this.#retryAt) void this.#restart();
    });
    return this.#last;
  }

  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  async #block(lookUp: LookUp): Promise<void> {
    await this.#deps.block(await lookUp());
  }

  /** @returns null when it must not be used any more, and has been stopped */
  async #start(): Promise<Helper | null> {
    const round = this.#round;
    this.#isChanging = true; // K3
    const running = await this.#deps.startHelper().finally(() => {
      this.#isChanging = false;
    });
    const helper = { running, since: this.#deps.clock.now() };
    this.#helper = helper;
    void running.gone.then(() => {
      if (this.#helper === helper) this.#hasEnded(helper.since);
    });
    if (round !== this.#round) {
      this.#end(); // K1
      return null;
    }
    this.#lost = null;
    return running;
  }

  async #restart(): Promise<void> {
    try {
      if ((await this.#start()) === null) return;
    } catch (error) {
      return this.#fail((error as Error).message);
    }
    this.#deps.onBack();
    void this.resync(this.#deps.lookUp);
  }

  #hasEnded(since: number): void {
    if (this.#deps.clock.now() - since >= STEADY_MS) this.#failures = 0;
    this.#helper = null;
    this.#fail("the program that provides it has ended");
    void this.resync(this.#deps.lookUp); // K2
  }

  #fail(why: string): void {
    const pauseMs = this.#failures === 0 ? 0 : FIRST_PAUSE_MS * 2 ** (this.#failures - 1);
    this.#failures += 1;
    this.#retryAt = this.#deps.clock.now() + Math.min(pauseMs, LONGEST_PAUSE_MS);
    this.#lose(why);
  }

  #lose(why: string): void {
    this.#end();
    const isNew = this.#lost === null;
    this.#lost = why;
    if (!isNew || this.#isStopped) return;
    this.#losses += 1;
    this.#deps.onLost(why);
  }

  /** Ends the helper, also one that is being started. */
  #end(): void {
    this.#round += 1;
    const { running = null } = this.#helper ?? {};
    this.#helper = null;
    if (running === null) return;
    this.#isChanging = true; // K3
    running.stop();
    void running.gone.then(() => {
      this.#isChanging = false;
    });
  }
}
