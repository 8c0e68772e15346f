import type { EnvironmentRecord, EnvironmentState } from "../core/environment-image.ts";
import type { Failure } from "../shared/error-code.ts";

/** An environment as the model, the user and every view see it. */
export interface EnvironmentView {
  readonly name: string;
  /** `stale` without `builtAt`: its set-up has not run yet; the next job that uses it has it run first. */
  readonly state: Exclude<EnvironmentState, "unbuilt">;
  /** When what its jobs start from was built, ISO 8601. */
  readonly builtAt?: string;
  /** How long that took, and what it cost. */
  readonly buildSeconds?: number;
  readonly usd?: number;
  /** Which of its commands runs, while it is built. */
  readonly building?: { readonly step: number; readonly of: number; readonly command: string; readonly since: string };
  /** Why the newest build failed: its jobs start from the build before that, if there is one. */
  readonly error?: Failure;
  /** Sandboxes that are kept ready. */
  readonly warm: number;
}

export interface EnvironmentFacts {
  readonly name: string;
  readonly state: EnvironmentState;
  readonly record: EnvironmentRecord;
}

export function toEnvironmentView({ name, state, record }: EnvironmentFacts, warm: number): EnvironmentView {
  const { image, failed, build } = record;
  return {
    name,
    state: state === "unbuilt" ? "stale" : state,
    ...(image && {
      builtAt: iso(image.builtAt),
      buildSeconds: Math.round(image.tookMs / 100) / 10,
      usd: image.usd,
    }),
    ...(state === "building" &&
      build && { building: { step: build.step, of: build.of, command: build.command, since: iso(build.since) } }),
    ...(failed && { error: failed.failure }),
    warm,
  };
}

const iso = (at: number): string => new Date(at).toISOString();
