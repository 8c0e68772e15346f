import type { WarmSandbox } from "../../store/warm-rows.ts";
import type { WarmUse } from "./use.ts";

/** What of an environment is kept ready, for people and models. */
export interface WarmCount {
  readonly environment: string;
  readonly ready: number;
  readonly making: number;
  /** What keeping them has cost the session so far. */
  readonly usd: number;
  /** Why the last one could not be made; null = it could, or none was tried. */
  readonly problem: string | null;
}

export interface WarmStock {
  /** Those that no job has taken. */
  readonly warm: readonly WarmSandbox[];
  readonly isOf: (warm: WarmSandbox, environment: string) => boolean;
  /** By environment. */
  readonly costs: ReadonlyMap<string, number>;
}

export const countWarm = (
  uses: readonly (readonly [environment: string, use: Pick<WarmUse, "problem">])[],
  { warm, isOf, costs }: WarmStock,
): WarmCount[] =>
  uses.map(([environment, use]) => {
    const those = warm.filter((one) => isOf(one, environment));
    const ready = those.filter(({ state }) => state === "ready").length;
    const usd = costs.get(environment) ?? 0;
    return { environment, ready, making: those.length - ready, usd, problem: use.problem() };
  });
