import { formatUsd } from "../core/budget.ts";
import { oneLine } from "../shared/plain-text.ts";

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

/** 'Environment "train": 2 warm sandboxes ready, 1 being made, $0.0300 so far.', a line each for those of which there is something to say. */
export const renderWarm = (all: readonly WarmFacts[]): string[] =>
  all
    .filter(({ ready, making, usd, problem }) => ready + making > 0 || usd > 0 || problem !== null)
    .map(({ environment, ready, making, usd, problem }) => {
      const facts = [
        `${ready} warm ${ready === 1 ? "sandbox" : "sandboxes"} ready`,
        ...(making > 0 ? [`${making} being made`] : []),
        ...(usd > 0 ? [`${formatUsd(usd)} so far`] : []),
      ];
      const why = problem === null ? "" : ` The last one could not be made: ${oneLine(problem, PROBLEM_LIMIT)}`;
      return `Environment "${oneLine(environment, NAME_LIMIT)}": ${facts.join(", ")}.${why}`;
    });
