import { isEnded, type Job } from "./job.ts";

/** Why a job that has had no sandbox has no files; null for any other. Of one that has ended there will be none. */
export function withoutSandbox({ sandbox, state }: Pick<Job, "sandbox" | "state">) {
  if (sandbox.kind !== "none" && sandbox.kind !== "creating") return null;
  return isEnded(state)
    ? { why: "it ended before it had a sandbox, so it has no files", retryable: false }
    : { why: "it has no sandbox yet", retryable: true };
}
