import type { EndedState, Job } from "./job.ts";

/**
 * That a job has ended, for its orchestrator. Recorded in one transaction with the end, and kept until it was told.
 * N1  A notice without a delivery has not been told by anyone.
 * N2  A delivery is stored before it is made, so that after any crash its message or call can be looked for.
 * N3  A notice is delivered anew only when the session shows that the former delivery never arrived.
 */
export interface Notice {
  readonly id: number;
  /** The job as it ended; it may have been woken since. */
  readonly job: Job & { readonly state: EndedState };
  readonly delivery: Delivery | null;
}

/** How a notice is told. Moments are epoch milliseconds. */
export type Delivery =
  /** By a message of ours, which starts a turn of an idle session and joins the turn of a busy one. */
  | { readonly kind: "message"; readonly messageID: string; readonly at: number; readonly tries: number }
  /** As a part of a message of the user's. */
  | { readonly kind: "attached"; readonly messageID: string; readonly at: number }
  /** By what a tool returned. */
  | { readonly kind: "call"; readonly messageID: string; readonly callID: string; readonly at: number };

/** What the session shows of a delivery. */
export type Trace =
  | "absent"
  /** A tool that has not returned, or died with its process. */
  | "open"
  /** A message that no model has been shown yet. */
  | "unanswered"
  | "arrived"
  /** A tool whose answer was thrown away. */
  | "lost";

/** The orchestrator's session as read at one moment. */
export interface OrchestratorView {
  readonly busy: boolean;
  /** When the user stopped its last turn; null when that ended otherwise. */
  readonly stoppedAt: number | null;
  /** Newest message of the session; null when it has none. */
  readonly newestMessageID: string | null;
  readonly traceOf: (delivery: Delivery) => Trace;
}

/** Jobs that end within so long of each other are told of together. */
export const TOGETHER_MS = 500;
/** A message that was sent, or a tool that returned, may take so long to be stored. */
const STORE_MS = 2_000;
/** The same while the session is busy: under load the host stores a tool's answer late. */
const BUSY_STORE_MS = 10_000;
const LOOK_MS = 1_000;
/** A busy session takes a message up at its next step, which may be hours away; its end is heard. */
const BUSY_LOOK_MS = 15_000;
/** An idle session is woken again after so long, doubled at each try. */
export const WAKE_MS = 2_000;
/** After so many the message stands in the session, for its next turn. */
const WAKE_TRIES = 5;

export type NoticeDecision =
  /** It has reached the session. */
  | { readonly kind: "told" }
  /** Nobody tells it, or its delivery never arrived. */
  | { readonly kind: "due" }
  /** It stands in a session that is idle and did not take it up. */
  | { readonly kind: "wake" }
  /** Not settled yet: look again. */
  | { readonly kind: "open"; readonly lookMs: number };

/** How one notice stands. Reading decides: events only say "look now". */
export function decideNotice({ delivery }: Notice, view: OrchestratorView, now: number): NoticeDecision {
  if (delivery === null) return { kind: "due" };
  const trace = view.traceOf(delivery);
  const ageMs = now - delivery.at;
  if (trace === "arrived") return { kind: "told" };
  if (trace === "unanswered") {
    if (delivery.kind !== "message" || delivery.tries > WAKE_TRIES) return { kind: "told" };
    if (view.busy) return { kind: "open", lookMs: BUSY_LOOK_MS };
    const waitMs = WAKE_MS * 2 ** (delivery.tries - 1);
    return ageMs < waitMs ? { kind: "open", lookMs: waitMs - ageMs } : { kind: "wake" };
  }
  const mayBeLate = trace !== "lost" && ageMs < (view.busy ? BUSY_STORE_MS : STORE_MS);
  return mayBeLate ? { kind: "open", lookMs: LOOK_MS } : { kind: "due" };
}

export interface OutboxContext {
  readonly now: number;
  /** Whether a notice starts a turn of an idle session. */
  readonly resume: boolean;
  /** A tool that is under way waits for the job and will tell of it. */
  readonly isAwaited: (jobID: string) => boolean;
}

export interface OutboxDecision {
  readonly told: readonly Notice[];
  /** To be told in one message now, under this id; null = a fresh one. */
  readonly send: { readonly notices: readonly Notice[]; readonly messageID: string | null } | null;
  readonly wake: readonly Notice[];
  /** When to look again even if nothing is heard; null = not before something happens. */
  readonly lookMs: number | null;
}

/** What is to be done for the notices of one session. */
export function decideOutbox(
  notices: readonly Notice[],
  view: OrchestratorView,
  { now, resume, isAwaited }: OutboxContext,
): OutboxDecision {
  const decided = notices.map((notice) => ({ notice, decision: decideNotice(notice, view, now) }));
  const those = (kind: NoticeDecision["kind"]) =>
    decided.filter(({ decision }) => decision.kind === kind).map(({ notice }) => notice);
  const free = those("due").filter(({ job }) => !isAwaited(job.id));
  // Whoever has just stopped a turn does not want it started again by what had ended before.
  const isNews = free.some(({ job }) => job.state.since > (view.stoppedAt ?? 0));
  const due = view.busy || (resume && isNews) ? free : [];
  const waitMs = Math.min(...due.map(({ delivery, job }) => (delivery ? 0 : job.state.since + TOGETHER_MS - now)));
  const looks = decided.flatMap(({ decision }) => (decision.kind === "open" ? decision.lookMs : []));
  if (due.length > 0 && waitMs > 0) looks.push(waitMs);
  return {
    told: those("told"),
    send: due.length > 0 && waitMs <= 0 ? { notices: due, messageID: repeatedID(due, view) } : null,
    wake: those("wake"),
    lookMs: looks.length > 0 ? Math.min(...looks) : null,
  };
}

/** N3: as the newest of the session the same id is the same message, should the first one come late after all. */
function repeatedID(due: readonly Notice[], { newestMessageID }: OrchestratorView): string | null {
  const ids = due.flatMap(({ delivery }) => (delivery?.kind === "message" ? delivery.messageID : []));
  return ids.findLast((id) => id > (newestMessageID ?? "")) ?? null;
}
