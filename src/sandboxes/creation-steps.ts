/**
 * What a creation is doing now. `since`: epoch ms at which the step began, for whoever joined later too; times of waiting are
 * computed by those who show them.
 */
export type CreationStep =
  /** `line`: the last line that the build has printed, as it is; null = none yet. */
  | { readonly kind: "building"; readonly since: number; readonly image: string; readonly line: string | null }
  /**
   * Its environment's set-up runs, in a sandbox of its own: command `command` of `of`, the `step`th. `line`: the newest line
   * that this has printed, as it is; null = none yet, or another process builds.
   */
  | {
      readonly kind: "setup";
      readonly since: number;
      readonly environment: string;
      readonly step: number;
      readonly of: number;
      readonly command: string;
      readonly line: string | null;
    }
  /** Not asked for yet: the provider allows only so many new sandboxes a second. */
  | { readonly kind: "turn"; readonly since: number; readonly perSecond: number }
  /** Refused for now, as the account has as many sandboxes or GPUs as it may have. `why`: the provider's words. */
  | { readonly kind: "limited"; readonly since: number; readonly why: string }
  /** The provider has the request and no machine for it yet. Costs nothing. */
  | { readonly kind: "waiting"; readonly since: number; readonly gpu: string }
  /** The machine is there, and costs money from `since` on; its first command has not run yet. */
  | { readonly kind: "booting"; readonly since: number };

export type StepListener = (step: CreationStep) => void;

/** The steps of one piece of work that several wait for. Whoever joins later is told the present step at once. */
export class SharedSteps {
  readonly #listeners = new Set<StepListener>();
  #current: CreationStep | null = null;

  readonly tell: StepListener = (step) => {
    this.#current = step;
    for (const listener of this.#listeners) listener(step);
  };

  /** Tells `listener` the steps until the work has ended. */
  async follow<T>(work: Promise<T>, listener: StepListener | undefined): Promise<T> {
    if (listener === undefined) return work;
    const own: StepListener = (step) => listener(step);
    this.#listeners.add(own);
    if (this.#current) own(this.#current);
    try {
      return await work;
    } finally {
      this.#listeners.delete(own);
    }
  }
}
