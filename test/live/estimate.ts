import { ratesOf, tableOf } from "../../src/config/prices.ts";
import type { LiveCheck, Planned, Size } from "./live-check.ts";

/** The most that a run may be estimated to cost, in USD, without `--gpus`. */
export const CEILING_USD = 1;

const usdOf = ({ size, count, lifetimeS }: Planned): number => {
  const { cpu, memoryMiB, gpu } = size;
  const resources = { cpu, cpuLimit: cpu, memoryMiB, memoryLimitMiB: memoryMiB };
  return (count * lifetimeS * ratesOf(resources, gpu, tableOf("modal")).most) / 3600;
};

/** What a check costs if all of its sandboxes live to the end of their lifetimes. They do not: it ends them. */
export const estimateOf = (check: LiveCheck): number => check.plan.reduce((sum, planned) => sum + usdOf(planned), 0);

/** The sandboxes that a check may still create. */
export class Allowance {
  readonly #left: { readonly planned: Planned; count: number }[];
  readonly #name: string;

  constructor(check: LiveCheck) {
    this.#name = check.name;
    this.#left = check.plan.map((planned) => ({ planned, count: planned.count }));
  }

  /** @throws Error when the check has planned no such sandbox, or has created all of them */
  take(size: Size, lifetimeS: number): void {
    const found = this.#left.find(
      ({ planned, count }) => planned.size === size && planned.lifetimeS >= lifetimeS && count > 0,
    );
    if (found === undefined)
      throw new Error(`the check "${this.#name}" may not create one more sandbox: its estimate would not hold`);
    found.count -= 1;
  }
}
