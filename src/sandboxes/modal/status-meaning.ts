/*
 * What a status code that Modal uses for several things means, by the words of its message. Each has a meaning that is safe
 * where the words are not known: a limit of the workspace is waited for and named, credentials are checked by the user, and
 * an unknown refusal ends nothing and forgets nothing.
 */

/** @source "workspace billing cycle spend limit reached" (modal-labs/modal-client, issue 3397) */
const SPEND =
  /\b(spend(ing)?|budget|billing|credits?)\b.{0,40}\b(limit|cap|cycle|exceeded|reached|exhausted|used up|spent)\b|\b(exceeded|reached|exhausted|spent|out of|insufficient|no)\b.{0,40}\b(spend(ing)?|budget|credits?|funds)\b|\busage\b.{0,40}\$|\bpayment (method|required)\b/i;

/**
 * A limit on how many at the same time, whatever else the sentence advises: "reached its limit of 100 concurrent containers.
 * Upgrade your plan or billing settings".
 */
const CONCURRENCY =
  /\bconcurren(t|cy|tly)\b|\b(gpus?|containers?|sandbox(es)?)\b[^.]{0,40}\b(limit|maximum|quota|cap)\b|\b(limit|maximum|quota|cap)\b[^.]{0,40}\b(gpus?|containers?|sandbox(es)?)\b/i;

const SPEND_LIMIT =
  /\b(spend(ing)?|budget|billing cycle)\s+(limit|cap)\b|\blimit\b.{0,10}\$|\b(limit|cap)\s+(on|of)\s+(spend(ing)?|budget)\b/i;

const ADDRESS = /https?:\/\/\S+/gi;

/** @source "Sandbox creation rate limit (5/s) exceeded" (PrimeIntellect-ai/verifiers, pull request 1639) */
const RATE = /\brate[ _-]?limit|\bthrottl|\btoo many requests\b|\bcreation rate\b|\brequests? per (second|minute)\b/i;

const CAPACITY =
  /\b(insufficient|not enough|no|out of|lacks?)\b.{0,20}\b(capacity|machines?)\b|\bcapacity\b.{0,20}\b(unavailable|not available)\b/i;

const EXPIRED =
  /\b(image|snapshot|file ?system)\b.{0,120}\b(expired|no longer|deleted|removed|garbage[- ]collected|not found|does not exist)\b|\b(expired|deleted)\b.{0,40}\b(image|snapshot|file ?system)\b/i;

const ENDED =
  /\b(sandbox|task|container)\b.{0,120}\b(ended|finished|terminated|terminating|completed|exited|stopped|shut ?down|not running|no longer running|already|preempted|timed out|not alive)\b/i;

/** RESOURCE_EXHAUSTED. */
export function meaningOfExhausted(message: string): "spend" | "rate" | "capacity" | "quota" {
  if (isSpent(message)) return "spend";
  if (RATE.test(message)) return "rate";
  return CAPACITY.test(message) ? "capacity" : "quota";
}

/** FAILED_PRECONDITION. */
export function meaningOfPrecondition(message: string): "spend" | "expired" | "ended" | "other" {
  if (isSpent(message)) return "spend";
  if (EXPIRED.test(message)) return "expired";
  return ENDED.test(message) ? "ended" : "other";
}

/** PERMISSION_DENIED. */
export const meaningOfDenied = (message: string): "spend" | "unauthorized" =>
  isSpent(message) ? "spend" : "unauthorized";

function isSpent(message: string): boolean {
  const said = message.replaceAll(ADDRESS, "");
  return SPEND_LIMIT.test(said) || (SPEND.test(said) && !CONCURRENCY.test(said));
}
