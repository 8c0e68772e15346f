import { batch, computed, effect, signal } from "@preact/signals";
import { sleep, systemClock } from "../../shared/clock.ts";
import type { LabChange, LabState, ListedJob } from "../server/parts.ts";
import { open } from "./api.ts";
import { isInSight, untilInSight } from "./in-sight.ts";
import { createEventReader } from "./layout/events.ts";
import { isOpen } from "./layout/format.ts";

/*
 * What the page knows: the state of one session, as the stream tells it.
 */

export type Fields = Omit<LabState, "jobs" | "at">;

const CONNECTING = "Connecting …";
const NOTHING: Fields = { session: null, sessions: [], isLive: false, pool: null, spend: null, problems: [] };

export const fields = signal<Fields>(NOTHING);
export const jobs = signal<ReadonlyMap<string, ListedJob>>(new Map());
/** null = connected, and the state is known. */
export const trouble = signal<string | null>(CONNECTING);
/** The session asked for; null = the one the dashboard was started with. */
export const wanted = signal<string | null>(null);
/** Counts what may have changed the ledger: ends of jobs, and new numbers. */
export const results = signal(0);

/** The server's clock, which the times of jobs are by. */
let ahead = 0;
const serverNow = () => systemClock.now() + ahead;
/** Epoch ms; moves on while a job is open and the page is in sight. */
export const now = signal(serverNow());

export const openJobs = computed(() => [...jobs.value.values()].filter(({ state }) => isOpen(state)));

export function keepTime(): void {
  const again = () => {
    systemClock.after(1000, again);
    if (openJobs.value.length > 0 && fields.value.isLive && isInSight.value) now.value = serverNow();
  };
  again();
}

const RETRY_MS = 2_000;
/** Longer than between two signs of life. */
const SILENT_MS = 30_000;

const SILENT = `Nothing was heard of the dashboard's command for ${SILENT_MS / 1000} s; it may be suspended. Trying again …`;

/**
 * Follows the wanted session while the page is in sight. A browser shares six connections to the dashboard among all its
 * tabs: those out of sight would leave none to ask by.
 */
export async function follow(): Promise<void> {
  for (;;) {
    await untilInSight();
    const session = wanted.value;
    const abort = new AbortController();
    let isOver = false;
    const stop = effect(() => {
      if (wanted.value === session && isInSight.value) return;
      isOver = true;
      abort.abort();
    });
    try {
      await readStream(session, abort);
    } catch (error) {
      if (!isOver) trouble.value = (error as Error).message;
    }
    stop();
    if (!isInSight.value) trouble.value = CONNECTING;
    if (!isOver) await sleep(systemClock, RETRY_MS);
  }
}

async function readStream(session: string | null, abort: AbortController): Promise<void> {
  const reader = (await open(session, abort.signal)).getReader();
  const decoder = new TextDecoder();
  const read = createEventReader();
  let isSilent = false;
  let hush = () => {};
  const listen = () => {
    hush();
    hush = systemClock.after(SILENT_MS, () => {
      isSilent = true;
      abort.abort();
    });
  };
  try {
    for (;;) {
      listen();
      const { done, value } = await reader.read();
      if (done) throw new Error("The dashboard's command has ended. Start it again.");
      for (const { event, data } of read(decoder.decode(value, { stream: true }))) apply(event, JSON.parse(data));
      // The first session appeared.
      if (session === null && fields.value.session === null && fields.value.sessions.length > 0) return;
    }
  } catch (error) {
    throw isSilent ? new Error(SILENT) : error;
  } finally {
    hush();
    abort.abort();
  }
}

function apply(event: string, change: LabChange): void {
  const { jobs: changed = [], gone = [], at, ...rest } = change;
  const known = event === "state" ? new Map<string, ListedJob>() : new Map(jobs.value);
  const hasResults = event === "state" || changed.some((job) => isResult(job, known.get(job.id)));
  for (const id of gone) known.delete(id);
  for (const job of changed) known.set(job.id, job);
  batch(() => {
    if (at !== undefined) ahead = Date.parse(at) - systemClock.now();
    now.value = serverNow();
    trouble.value = null;
    fields.value = { ...(event === "state" ? NOTHING : fields.value), ...rest };
    if (changed.length + gone.length > 0 || event === "state") jobs.value = known;
    if (hasResults || gone.length > 0) results.value++;
  });
}

const isResult = (job: ListedJob, before: ListedJob | undefined): boolean =>
  job.state !== before?.state || JSON.stringify(job.metrics) !== JSON.stringify(before.metrics);
