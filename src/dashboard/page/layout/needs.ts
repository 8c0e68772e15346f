import type { LabState, ListedJob } from "../../server/parts.ts";
import { some } from "./format.ts";

/** Something that waits for the user, or that he should know. */
export interface Need {
  readonly kind: "problem" | "budget" | "interrupted" | "failed" | "conflicts" | "delayed";
  readonly text: string;
  readonly job: string | null;
}

/** Share of the ceiling from which the spend is told; the plugin's own option may differ, and warns by itself. */
const NEAR = 0.8;

/** What needs the user, the most urgent first. */
export function needsOf(
  jobs: Iterable<ListedJob>,
  { problems, spend }: { readonly problems: readonly string[]; readonly spend: LabState["spend"] },
): Need[] {
  const all = [...jobs].reverse();
  const named = (kind: Need["kind"], job: ListedJob, why: string | undefined): Need => ({
    kind,
    text: why ? `${job.description}: ${why}` : job.description,
    job: job.id,
  });
  const share = spend?.budgetUsd ? spend.usd / spend.budgetUsd : 0;
  return [
    ...problems.map((text): Need => ({ kind: "problem", text, job: null })),
    ...(share >= NEAR
      ? [{ kind: "budget", text: `${Math.round(share * 100)} % of the session's ceiling is spent`, job: null } as const]
      : []),
    ...all.filter(({ state }) => state === "interrupted").map((job) => named("interrupted", job, job.reason)),
    ...all.filter(({ state }) => state === "failed").map((job) => named("failed", job, job.error?.message)),
    ...all.flatMap((job) => {
      const count = job.update?.conflicts.length ?? 0;
      return count > 0
        ? [named("conflicts", job, `${some(count, "file")} in conflict with the project's newer state`)]
        : [];
    }),
    ...all
      .filter(({ state, reason }) => reason !== undefined && (state === "running" || state === "starting"))
      .map((job) => named("delayed", job, job.reason)),
  ];
}

/** Of many of one kind the first two come before the others of any kind, so that none hides another kind. */
export function mixed(needs: readonly Need[]): Need[] {
  const seen = new Map<Need["kind"], number>();
  const [first, later]: [Need[], Need[]] = [[], []];
  for (const need of needs) {
    const count = (seen.get(need.kind) ?? 0) + 1;
    seen.set(need.kind, count);
    (count <= 2 ? first : later).push(need);
  }
  return [...first, ...later];
}
