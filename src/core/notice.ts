import type { EndedState, Job, JobOrigin } from "./job.ts";

/**
 * Tells an orchestrator that a job has ended. Recorded in one transaction with that end, and kept until it is delivered.
 * N1  A notice without a delivery has not reached the orchestrator.
 * N2  A delivery is recorded before it is attempted, so that after a crash its message or tool call can be looked up.
 * N3  A notice is delivered again only if the session shows that the previous delivery never arrived.
 */
export interface Notice {
  readonly id: number;
  /** The job as it was when it ended; it may have been woken since. */
  readonly job: Job & { readonly state: EndedState };
  readonly delivery: Delivery | null;
}

/** How a notice is delivered. Times are epoch milliseconds. */
export type Delivery =
  /** In a message from the plugin: it starts a turn of an idle session, and joins the turn of a busy one. */
  | { readonly kind: "message"; readonly messageID: string; readonly at: number; readonly tries: number }
  /** As a part of the user's next message. */
  | { readonly kind: "attached"; readonly messageID: string; readonly at: number }
  /** In the answer of a tool call. `sessionID`: where it was made, if in a session below. */
  | {
      readonly kind: "call";
      readonly messageID: string;
      readonly callID: string;
      readonly at: number;
      readonly sessionID?: string | undefined;
    };

/** What the session shows of a delivery. */
export type Trace =
  | "absent"
  /** A tool call that has not returned, or whose process died. */
  | "open"
  /** A message that the model has not been shown yet. */
  | "unanswered"
  | "arrived"
  /** A tool call whose answer was discarded. */
  | "lost";

/** The orchestrator's session as read at one moment. */
export interface OrchestratorView {
  readonly busy: boolean;
  /** When the user stopped its last turn; null if that turn ended in another way. */
  readonly stoppedAt: number | null;
  /** Id of its newest message; null without messages. */
  readonly newestMessageID: string | null;
  readonly traceOf: (delivery: Delivery) => Trace;
  /** Why nothing may be sent to it unasked; null = it may. */
  readonly closed: "reverted" | "archived" | null;
  readonly startOf: (origin: JobOrigin) => JobStart;
}

/** What the session shows of the call that started a job. */
export type JobStart =
  | "known"
  /** The user has undone the message, and may still redo it. */
  | "undone"
  /** The message is deleted: the model does not know of the job. */
  | "gone";

/** Jobs that end within this time share one message. */
export const BATCH_WINDOW_MS = 500;
/** Longest time the host takes to store a sent message or a returned answer. */
const STORE_MS = 2_000;
/** Longer while the session is busy: under load the host stores answers late. */
const BUSY_STORE_MS = 10_000;
const RECHECK_MS = 1_000;
/** A busy session takes up a message at its next step, which may be hours away. The end of its turn is announced. */
const BUSY_RECHECK_MS = 15_000;
const HELD_RECHECK_MS = 60_000;
/** An idle session that ignores a message is woken after this time, doubled with each try. */
export const WAKE_MS = 2_000;
/** After this many tries the message is left for the session's next turn. */
const WAKE_TRIES = 5;

export type NoticeDecision =
  /** The session must not hear of it: its model does not know the job. */
  | { readonly kind: "obsolete" }
  /** Nothing may be sent now. The session says when that changes. */
  | { readonly kind: "held" }
  /** It has reached the session and can be forgotten. */
  | { readonly kind: "delivered" }
  /** It has no delivery, or its delivery never arrived. */
  | { readonly kind: "due" }
  /** Its message is in the session, which is idle and has not taken it up. */
  | { readonly kind: "wake" }
  /** Not certain yet: check again in `recheckMs`. */
  | { readonly kind: "unsettled"; readonly recheckMs: number };

/** The status of one notice, from what its session shows now: events only say that it is time to look. */
export function decideNotice({ delivery, job }: Notice, view: OrchestratorView, now: number): NoticeDecision {
  const start = job.origin === null ? "known" : view.startOf(job.origin);
  if (start === "gone") return { kind: "obsolete" };
  if (start === "undone") return { kind: "held" };
  if (delivery === null) return { kind: "due" };
  const trace = view.traceOf(delivery);
  const ageMs = now - delivery.at;
  if (trace === "arrived") return { kind: "delivered" };
  if (trace === "unanswered") {
    if (delivery.kind !== "message" || delivery.tries > WAKE_TRIES) return { kind: "delivered" };
    if (view.busy) return { kind: "unsettled", recheckMs: BUSY_RECHECK_MS };
    const waitMs = WAKE_MS * 2 ** (delivery.tries - 1);
    return ageMs < waitMs ? { kind: "unsettled", recheckMs: waitMs - ageMs } : { kind: "wake" };
  }
  const mayBeLate = trace !== "lost" && ageMs < (view.busy ? BUSY_STORE_MS : STORE_MS);
  return mayBeLate ? { kind: "unsettled", recheckMs: RECHECK_MS } : { kind: "due" };
}

export interface OutboxContext {
  readonly now: number;
  /** Whether a notice may start a turn of an idle session (`notify.resume`). */
  readonly resume: boolean;
  /** Whether a running tool call waits for the job and will report its end. */
  readonly isAwaited: (jobID: string) => boolean;
  /** From when the end of a job is worth a message of its own, epoch ms: runs are told in groups. */
  readonly tellAt: (job: Notice["job"]) => number;
}

export interface OutboxDecision {
  /** Have reached the session, or must not. */
  readonly delivered: readonly Notice[];
  /** To be sent in one message now. `messageID` null = under a new id. */
  readonly send: { readonly notices: readonly Notice[]; readonly messageID: string | null } | null;
  /** Are in the session, which must be woken to take them up. */
  readonly wake: readonly Notice[];
  /** When to decide again even if nothing happens; null = only when something does. */
  readonly recheckMs: number | null;
}

/** What to do now about all notices of one session. */
export function decideOutbox(
  notices: readonly Notice[],
  view: OrchestratorView,
  { now, resume, isAwaited, tellAt }: OutboxContext,
): OutboxDecision {
  const decided = notices.map((notice) => ({ notice, decision: decideNotice(notice, view, now) }));
  const noticesThatAre = (kind: NoticeDecision["kind"]) =>
    decided.filter(({ decision }) => decision.kind === kind).map(({ notice }) => notice);
  const free = noticesThatAre("due").filter(({ job }) => !isAwaited(job.id));
  // A user who has just stopped a turn does not want another one because of jobs that had ended before.
  const isNews = free.some(({ job }) => job.state.since > (view.stoppedAt ?? 0));
  const isOpen = view.closed === null;
  const due = isOpen && (view.busy || (resume && isNews)) ? free : [];
  // What is worth a message takes the other ends along.
  const waitMs = due.reduce(
    (least, one) => Math.min(least, one.delivery ? 0 : tellAt(one.job) + BATCH_WINDOW_MS - now),
    Infinity,
  );
  const rechecks = decided.flatMap(({ decision }) => (decision.kind === "unsettled" ? decision.recheckMs : []));
  if (due.length > 0 && waitMs > 0) rechecks.push(waitMs);
  const isHeld = (!isOpen && free.length > 0) || noticesThatAre("held").length > 0;
  if (isHeld) rechecks.push(HELD_RECHECK_MS); // the session announces its change, and events may be lost
  return {
    delivered: [...noticesThatAre("delivered"), ...noticesThatAre("obsolete")],
    send: due.length > 0 && waitMs <= 0 ? { notices: due, messageID: repeatedID(due, view) } : null,
    wake: isOpen ? noticesThatAre("wake") : [],
    recheckMs: rechecks.length > 0 ? Math.min(...rechecks) : null,
  };
}

/** N3: sent again under its old id, a message that only came late is not doubled. That id must still be the newest. */
function repeatedID(due: readonly Notice[], { newestMessageID }: OrchestratorView): string | null {
  const ids = due.flatMap(({ delivery }) => (delivery?.kind === "message" ? delivery.messageID : []));
  return ids.findLast((id) => id > (newestMessageID ?? "")) ?? null;
}
