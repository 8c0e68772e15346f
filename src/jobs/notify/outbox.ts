import { isEnded, type Job } from "../../core/job.ts";
import { forOrchestrator, isNested } from "../../core/nested-notices.ts";
import {
  BATCH_WINDOW_MS,
  type Delivery,
  decideNotice,
  decideOutbox,
  type Notice,
  type NoticeDecision,
  type OrchestratorView,
  type OutboxContext,
  WAKE_MS,
} from "../../core/notice.ts";
import type { ChildSessions, OrchestratorSessions } from "../../core/ports.ts";
import { type GroupState, groupOf, groupStates, tellAt } from "../../core/run-groups.ts";
import { renderNotice, TAKE_UP_NOTICE } from "../../prompt/notice.ts";
import type { Clock } from "../../shared/clock.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { createSerialQueues } from "../../shared/serial-queues.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { SessionTree } from "../session/session-tree.ts";

/** Tells orchestrators that their jobs have ended, once per end: in a tool's answer, in a message, or with the user's next one. */
export interface Outbox {
  /** Checks in `delayMs` whether the session has undelivered notices, and delivers what can be delivered. */
  look(orchestrator: string, delayMs?: number): void;
  /** A running tool will report the ends of these jobs, so no message is sent for them. Returns the function that ends this. */
  hold(orchestrator: string, jobIDs: readonly string[]): () => void;
  /**
   * Lets a tool call report jobs in its answer, and records the call as their delivery.
   * @param caller the job in whose session the call is made; null = it is an orchestrator's. Only what the caller itself has
   * started is told it: the end of a run belongs in the conversation that started it
   * @returns those of the jobs that have ended and that the caller has not been told of, as they ended
   */
  claim(orchestrator: string, jobIDs: readonly string[], call: CallRef, caller: string | null): Promise<readonly Job[]>;
  /** Those of the jobs that `claim` would return now, and those whose report may still turn out to be lost. */
  untold(orchestrator: string, jobIDs: readonly string[], caller: string | null): Promise<readonly string[]>;
  /** Text to add to a new message of the user's; null when there is nothing to tell, or the message is the plugin's own. */
  attach(orchestrator: string, messageID: string): Promise<string | null>;
  /** Sends nothing from now on. Requests under way are not awaited: a host that is ending may never answer them. */
  suspend(): void;
}

/** Names a tool call in its session. */
export interface CallRef {
  readonly sessionID?: string;
  readonly messageID: string;
  readonly callID: string;
}

export interface OutboxDeps {
  readonly registry: Pick<SessionRegistry, "inUse" | "onChange">;
  readonly orchestrators: OrchestratorSessions;
  readonly tree: Pick<SessionTree, "knownOwnerOf" | "heldBelow">;
  /** Tells when a session comes to rest. */
  readonly sessions: Pick<ChildSessions, "on">;
  readonly hostIDs: (prefix: "msg") => string;
  readonly ids: IdGenerator;
  /** Whether an ended job starts a turn of an idle session. */
  readonly resume: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** A session is reported idle a little before it is at rest. */
const REST_MS = 300;
/** A subagent at work says when it comes to rest, and events may be lost. */
const HELD_MS = 15_000;
const READ_RETRY_MS = 5_000;
/** Consecutive read failures after which a session is left alone until something happens in it. */
const READ_TRIES = 5;

export function createOutbox(deps: OutboxDeps): Outbox {
  const { registry, orchestrators, clock, log } = deps;
  const timers = new Map<string, { readonly at: number; cancel(): void }>();
  const holds = new Set<{ readonly orchestrator: string; readonly jobIDs: ReadonlySet<string> }>();
  /** Ids of messages that the plugin sent: the host announces them like the user's. */
  const sent = new Set<string>();
  const failures = new Map<string, number>();
  const queue = createSerialQueues();
  let suspended = false;
  registry.onChange(({ before, job }) => {
    if (isEnded(job.state) && before && !isEnded(before.state)) look(job.orchestrator, BATCH_WINDOW_MS);
  });
  const unsubscribe = deps.sessions.on(({ kind, sessionID }) => {
    if (kind !== "touched" && kind !== "changed") return;
    const owner = deps.tree.knownOwnerOf(sessionID); // a subagent that comes to rest leaves its jobs to it
    if (registry.inUse(owner)) look(owner, REST_MS);
  });

  const render = (ended: readonly Job[], openJobs: number) => renderNotice(ended, openJobs, deps.ids);

  const isAwaited = (orchestrator: string, jobID: string) =>
    [...holds].some((hold) => hold.orchestrator === orchestrator && hold.jobIDs.has(jobID));

  function look(orchestrator: string, delayMs = 0): void {
    if (suspended) return;
    const at = clock.now() + delayMs;
    const timer = timers.get(orchestrator);
    if (timer && timer.at <= at) return;
    timer?.cancel();
    const cancel = clock.after(delayMs, () => {
      timers.delete(orchestrator);
      void queue.run(orchestrator, () => deliver(orchestrator)).catch((error) => retry(orchestrator, error));
    });
    timers.set(orchestrator, { at, cancel });
  }

  function retry(orchestrator: string, error: unknown): void {
    if (suspended) return;
    const count = (failures.get(orchestrator) ?? 0) + 1;
    failures.set(orchestrator, count);
    log("warn", "could not tell a session of its ended jobs", { sessionID: orchestrator, reason: String(error) });
    if (count < READ_TRIES) look(orchestrator, READ_RETRY_MS);
    else failures.delete(orchestrator);
  }

  const viewOf = (orchestrator: string, notices: readonly Notice[]): Promise<OrchestratorView> =>
    orchestrators.view(
      orchestrator,
      notices.flatMap(({ delivery }) => delivery ?? []),
      notices.flatMap(({ job }) => job.origin ?? []),
    );

  async function deliver(orchestrator: string): Promise<void> {
    const sessionJobs = await registry.inUse(orchestrator);
    if (suspended || !sessionJobs) return;
    const { notices, obsolete } = forOrchestrator(sessionJobs.notices(), (jobID) => sessionJobs.get(jobID));
    sessionJobs.forgetNotices(obsolete);
    // While a tool is to tell all of them, nothing is to be decided; whoever holds them looks when it lets go.
    if (notices.every(({ delivery, job }) => !delivery && (isAwaited(orchestrator, job.id) || isNested(job)))) return;
    // By the state in which the notices were read: of runs that end meanwhile there are none among them.
    const tellAt = tellTimes(notices, sessionJobs.all());
    const held = await deps.tree.heldBelow(sessionJobs);
    const view = await viewOf(orchestrator, notices);
    if (suspended) return;
    if (held.size > 0) look(orchestrator, HELD_MS);
    const context = {
      now: clock.now(),
      resume: deps.resume,
      isAwaited: (jobID: string) =>
        held.has(jobID) || isAwaited(orchestrator, jobID) || isNested(sessionJobs.get(jobID)),
      tellAt,
    };
    const { delivered, send, wake, recheckMs } = decideOutbox(notices, view, context);
    if (recheckMs !== null) look(orchestrator, recheckMs);
    sessionJobs.forgetNotices(delivered);
    await sendAgain(sessionJobs, wake);
    if (send) await sendNow(sessionJobs, send.notices, send.messageID ?? deps.hostIDs("msg"));
    failures.delete(orchestrator);
  }

  async function sendNow(sessionJobs: SessionJobs, notices: readonly Notice[], messageID: string): Promise<void> {
    const ours = sessionJobs.recordDelivery(notices, { kind: "message", messageID, at: clock.now(), tries: 1 }); // N2
    if (ours.length === 0) return;
    await post(sessionJobs.orchestrator, messageID, render(toJobs(sessionJobs, ours), openJobs(sessionJobs)));
  }

  async function sendAgain(sessionJobs: SessionJobs, notices: readonly Notice[]): Promise<void> {
    if (notices.length === 0) return;
    for (const notice of notices) {
      const { delivery } = notice;
      if (delivery?.kind !== "message") continue;
      sessionJobs.recordDelivery([notice], { ...delivery, at: clock.now(), tries: delivery.tries + 1 });
    }
    await post(sessionJobs.orchestrator, deps.hostIDs("msg"), TAKE_UP_NOTICE);
  }

  async function post(orchestrator: string, messageID: string, text: string): Promise<void> {
    sent.add(messageID);
    await orchestrators.post({ sessionID: orchestrator, messageID, text });
    look(orchestrator, WAKE_MS);
  }

  return {
    look,
    hold(orchestrator, jobIDs) {
      const hold = { orchestrator, jobIDs: new Set(jobIDs) };
      holds.add(hold);
      return () => {
        if (holds.delete(hold)) look(orchestrator);
      };
    },
    claim: (orchestrator, jobIDs, { sessionID, messageID, callID }, caller) =>
      queue.run(orchestrator, async () => {
        const sessionJobs = await registry.inUse(orchestrator);
        if (!sessionJobs) return [];
        const due = await noticesFor(caller, sessionJobs, jobIDs, ["due"]);
        if (suspended) return [];
        const isBelow = sessionID !== undefined && sessionID !== orchestrator;
        const delivery = { kind: "call", messageID, callID, at: clock.now(), ...(isBelow && { sessionID }) } as const;
        return toJobs(sessionJobs, take(sessionJobs, due, delivery));
      }),
    async untold(orchestrator, jobIDs, caller) {
      const sessionJobs = await registry.inUse(orchestrator);
      if (!sessionJobs) return [];
      return (await noticesFor(caller, sessionJobs, jobIDs, ["due", "unsettled"])).map(({ job }) => job.id);
    },
    async attach(orchestrator, messageID) {
      if (sent.has(messageID)) return null;
      const sessionJobs = await registry.inUse(orchestrator);
      if (!sessionJobs || suspended) return null;
      const untold = sessionJobs
        .notices()
        .filter(({ job, delivery }) => !delivery && !isAwaited(orchestrator, job.id) && !isNested(job));
      if (untold.length === 0) return null;
      // OpenCode has just deleted what was undone: of jobs that were started there, its model knows nothing.
      const [held, view] = await Promise.all([deps.tree.heldBelow(sessionJobs), viewOf(orchestrator, untold)]);
      if (suspended) return null;
      const ready = untold.filter(({ job }) => !held.has(job.id));
      const free = ready.filter((notice) => decideNotice(notice, view, clock.now()).kind === "due");
      const ours = take(sessionJobs, free, { kind: "attached", messageID, at: clock.now() });
      return ours.length === 0 ? null : render(toJobs(sessionJobs, ours), openJobs(sessionJobs));
    },
    suspend() {
      suspended = true;
      unsubscribe();
      for (const { cancel } of timers.values()) cancel();
      timers.clear();
    },
  };

  /** Notices of these jobs that a call of the caller's may report, as far as they are decided in one of these ways. */
  async function noticesFor(
    caller: string | null,
    { orchestrator, notices: all }: SessionJobs,
    jobIDs: readonly string[],
    kinds: readonly NoticeDecision["kind"][],
  ): Promise<Notice[]> {
    const wanted = new Set(jobIDs);
    const notices = all().filter(({ job }) => job.startedBy === caller && wanted.has(job.id));
    const isInDoubt = notices.some(({ delivery }) => delivery !== null);
    // Where the session cannot be read, only notices without a delivery are certain to be untold.
    const view = isInDoubt ? await viewOf(orchestrator, notices).catch(() => null) : null;
    return notices.filter((notice) =>
      view ? kinds.includes(decideNotice(notice, view, clock.now()).kind) : notice.delivery === null,
    );
  }

  function take(sessionJobs: SessionJobs, notices: readonly Notice[], delivery: Delivery): readonly Notice[] {
    const ours = sessionJobs.recordDelivery(notices, delivery);
    if (ours.length > 0) look(sessionJobs.orchestrator, WAKE_MS);
    return ours;
  }
}

/** When the ends of these notices are to be told. */
function tellTimes(notices: readonly Notice[], jobs: readonly Job[]): OutboxContext["tellAt"] {
  const untold = new Map<string, Job[]>();
  for (const { delivery, job } of notices) {
    const group = delivery === null ? groupOf(job) : null;
    if (group === null) continue;
    const ends = untold.get(group);
    if (ends) ends.push(job);
    else untold.set(group, [job]);
  }
  const states = untold.size === 0 ? new Map<string, GroupState>() : groupStates(jobs);
  const times = new Map<string, number>();
  for (const [group, ends] of untold) {
    const state = states.get(group);
    if (state) times.set(group, tellAt(ends, state));
  }
  return (job) => times.get(groupOf(job) ?? "") ?? job.state.since;
}

/** The jobs as they ended, with what was added to that end. */
const toJobs = (sessionJobs: SessionJobs, notices: readonly Notice[]): Job[] =>
  notices.map(({ job }) => {
    const now = sessionJobs.get(job.id);
    return now?.state.kind === job.state.kind && now.state.since === job.state.since ? now : job;
  });

const openJobs = (sessionJobs: SessionJobs): number => sessionJobs.all().filter(({ state }) => !isEnded(state)).length;
