import type { SpendView } from "../../../views/lab-view.ts";

export interface Forecast {
  /** Share of the ceiling, 0 to 1; null without one. */
  readonly share: number | null;
  readonly inOneHour: number;
  /** Hours until the ceiling is reached at the present rate; null = it is not. */
  readonly hoursLeft: number | null;
}

/** Only what sandboxes cost by the hour goes on by itself; what models will cost is not known. */
export function forecastOf({ usd, budgetUsd, usdPerHour }: SpendView): Forecast {
  const left = budgetUsd === null ? null : Math.max(0, budgetUsd - usd);
  return {
    share: budgetUsd === null ? null : budgetUsd > 0 ? Math.min(1, Math.max(0, usd / budgetUsd)) : 1,
    inOneHour: usd + usdPerHour,
    hoursLeft: left === null || !(usdPerHour > 0) ? null : left / usdPerHour,
  };
}
