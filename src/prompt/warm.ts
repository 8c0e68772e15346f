import { oneLine } from "../shared/plain-text.ts";
import { formatUsd } from "../shared/usd.ts";

/** What of an environment is kept ready. */
export interface WarmFacts {
  readonly environment: string;
  readonly ready: number;
  readonly making: number;
  /** Of the session so far. */
  readonly usd: number;
  /** Why the last one could not be made; null = it could. */
  readonly problem: string | null;
}

const NAME_LIMIT = 60;
const PROBLEM_LIMIT = 300;

/**
 * 'Environment "train": 2 warm sandboxes ready, 1 being made, $0.0300 so far.', a line each for those of which there is something to say.
 * @param told by environment, what was said before of why its set-up failed: it is not said again
 */
export const renderWarm = (all: readonly WarmFacts[], told: ReadonlyMap<string, string> = new Map()): string[] =>
  all
    .filter(({ ready, making, usd, problem }) => ready + making > 0 || usd > 0 || problem !== null)
    .map(({ environment, ready, making, usd, problem }) => {
      const facts = [
        `${ready} warm ${ready === 1 ? "sandbox" : "sandboxes"} ready`,
        ...(making > 0 ? [`${making} being made`] : []),
        ...(usd > 0 ? [`${formatUsd(usd)} so far`] : []),
      ];
      const reason = problem !== null && problem === told.get(environment) ? "its set-up failed, see above." : problem;
      const why = reason === null ? "" : ` The last one could not be made: ${oneLine(reason, PROBLEM_LIMIT)}`;
      return `Environment "${oneLine(environment, NAME_LIMIT)}": ${facts.join(", ")}.${why}`;
    });
