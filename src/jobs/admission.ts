export interface AdmissionState {
  /** Jobs that hold a running slot, in every process that shares the state directory. */
  readonly running: number;
  /** Jobs before this one in the queue. */
  readonly ahead: number;
}

export interface AdmissionLimits {
  readonly maxRunningJobs: number;
}

/** `wait` carries the reason shown to the user and the model, unchanged. */
export type AdmissionDecision = { readonly kind: "admit" } | { readonly kind: "wait"; readonly reason: string };

/** First come first served over one resource, the running slot: those ahead take theirs first. */
export function decideAdmission(state: AdmissionState, limits: AdmissionLimits): AdmissionDecision {
  if (state.running + state.ahead < limits.maxRunningJobs) return { kind: "admit" };
  const behind = state.ahead > 0 ? `, behind ${state.ahead} queued ${state.ahead === 1 ? "job" : "jobs"}` : "";
  const reason = `waiting for a running slot (${state.running} of ${limits.maxRunningJobs} in use${behind})`;
  return { kind: "wait", reason };
}
