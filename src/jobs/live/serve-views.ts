import { limitsWith } from "../../core/admission.ts";
import { isEnded } from "../../core/job.ts";
import { hasEnded } from "../../shared/process-identity.ts";
import type { Runtime } from "../runtime.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { toOwner } from "../store/lease-store.ts";
import { type LivePart, parseRequest, toPartText, type WatchTime } from "../store/live-store.ts";
import { doingOf } from "./doing.ts";
import { answerRequest, type RequestContext } from "./requests.ts";

/** Asking SQLite whether a file has changed takes a few microseconds. */
const LOOK_MS = 400;
/** How often it is written at most what jobs do. */
const WRITE_MS = 1_000;
/** How often at least while somebody watches: views in other containers know by it that this process lives. */
const REPEAT_MS = 5_000;
/** Queued jobs whose places are written: thousands may be queued. */
const MOST_QUEUED = 300;
const KEEP_REQUESTS_MS = 60 * 60_000;

interface Served {
  readonly sessionJobs: SessionJobs;
  isAnnounced: boolean;
  watch: WatchTime | null;
  /** What was written last, and when. */
  text: string;
  writtenAt: number;
  hasFailed: boolean;
}

/**
 * Tells views in other processes what jobs do at the moment, while somebody watches, and does what the user asks for there.
 * @returns the function that ends this; to be called before the runtime is suspended
 */
export function serveViews(runtime: Runtime, host: Omit<RequestContext, "signal">): () => void {
  const { registry, clock, log } = runtime;
  const owner = toOwner(runtime.ids("views"));
  const served = new Map<string, Served>();
  const abort = new AbortController();
  const context: RequestContext = { ...host, signal: abort.signal };
  let cancel: (() => void) | null = null;

  const stopListening = registry.onOpen((sessionJobs) => {
    served.set(sessionJobs.orchestrator, {
      sessionJobs,
      isAnnounced: false,
      watch: null,
      text: "",
      writtenAt: 0,
      hasFailed: false,
    });
    cancel ??= clock.after(LOOK_MS, lookAtAll);
  });

  function lookAtAll(): void {
    cancel = null;
    for (const [orchestrator, one] of served) {
      if (!registry.inUse(orchestrator)) served.delete(orchestrator);
      else if (one.sessionJobs.all().length > 0) attempt(one);
    }
    if (served.size > 0 && !abort.signal.aborted) cancel = clock.after(LOOK_MS, lookAtAll);
  }

  /** A full disk or a locked file is temporary: the next look tries again. */
  function attempt(one: Served): void {
    try {
      look(one);
      one.hasFailed = false;
    } catch (error) {
      if (one.hasFailed) return;
      one.hasFailed = true;
      const { orchestrator } = one.sessionJobs;
      log("warn", "could not tell views what jobs do", { orchestrator, reason: String(error) });
    }
  }

  function look(one: Served): void {
    const { live } = one.sessionJobs;
    const now = clock.now();
    if (!one.isAnnounced) {
      for (const other of live.owners()) if (hasEnded(other) === true) live.removePart(other);
      live.forgetRequests(now - KEEP_REQUESTS_MS);
      write(one, now);
      one.isAnnounced = true;
    }
    if (live.hasChanged()) {
      one.watch = live.watched();
      for (const { id, text } of live.openRequests(now))
        if (live.takeRequest(id, owner, now)) void answer(one.sessionJobs, id, text);
    }
    const isWatched = one.watch !== null && one.watch.until > now;
    if (isWatched && now - one.writtenAt >= WRITE_MS) write(one, now);
  }

  function write(one: Served, at: number): void {
    const text = toPartText(partOf(one, at));
    // What was written before anybody watched says nothing about now.
    const isNews = text !== one.text || at - one.writtenAt >= REPEAT_MS || one.writtenAt < (one.watch?.since ?? 0);
    if (!isNews) return;
    one.sessionJobs.live.savePart({ owner, at, text });
    one.text = text;
    one.writtenAt = at;
  }

  function partOf({ sessionJobs, watch }: Served, now: number): LivePart {
    const { options, runner } = runtime;
    const isWatched = watch !== null && watch.until > now;
    const open = isWatched ? sessionJobs.all().filter(({ state }) => !isEnded(state)) : [];
    const queued = open.filter(({ state }) => state.kind === "queued").slice(0, MOST_QUEUED);
    const jobs = [...open.filter(({ id }) => runner.isRunning(id)), ...queued];
    const doing = doingOf(runtime, jobs);
    return {
      maxRunning: options.maxRunningJobs,
      gpus: limitsWith(options.gpuLimits, runtime.admissionLimits.machine),
      budgetUsd: options.budget.usdPerSession,
      problems: runtime.notices(sessionJobs.orchestrator),
      jobs: new Map(
        jobs
          .map((job) => [job.id, doing(job)] as const)
          // Of the others the process knows in which they wait.
          .filter(([id, { place }]) => place !== null || runner.isRunning(id)),
      ),
    };
  }

  async function answer({ live, orchestrator }: SessionJobs, id: string, text: string): Promise<void> {
    const request = parseRequest(text);
    const answered =
      request === null
        ? { kind: "refused", code: "invalid_task", message: "This version of the plugin does not know this request." }
        : await answerRequest(runtime, context, orchestrator, request);
    try {
      live.answerRequest(id, JSON.stringify(answered));
    } catch (error) {
      log("warn", "could not answer a view", { orchestrator, reason: String(error) });
    }
  }

  return () => {
    abort.abort();
    stopListening();
    cancel?.();
    for (const { sessionJobs, isAnnounced } of served.values()) {
      try {
        if (isAnnounced && registry.inUse(sessionJobs.orchestrator)) sessionJobs.live.removePart(owner);
      } catch {
        // Views find that the process has ended.
      }
    }
    served.clear();
  };
}
