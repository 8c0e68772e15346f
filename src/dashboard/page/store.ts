import { batch, computed, signal } from "@preact/signals";
import { systemClock } from "../../shared/clock.ts";
import type { LabChange, LabState, ListedJob } from "../server/parts.ts";
import { open } from "./api.ts";
import { createEventReader } from "./layout/events.ts";
import { isOpen } from "./layout/format.ts";

/*
 * What the page knows: the state of one session, as the stream tells it.
 */

export type Fields = Omit<LabState, "jobs" | "at">;

const NOTHING: Fields = { session: null, sessions: [], isLive: false, pool: null, spend: null, problems: [] };

export const fields = signal<Fields>(NOTHING);
export const jobs = signal<ReadonlyMap<string, ListedJob>>(new Map());
/** null = connected, and the state is known. */
export const trouble = signal<string | null>("Connecting …");
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
    if (openJobs.value.length > 0 && fields.value.isLive && document.visibilityState === "visible")
      now.value = serverNow();
  };
  again();
}

const RETRY_MS = 2_000;
/** Longer than between two signs of life. */
const SILENT_MS = 30_000;

/** Follows the wanted session for as long as the page is open. */
export async function follow(): Promise<void> {
  for (;;) {
    const session = wanted.value;
    const abort = new AbortController();
    const stop = wanted.subscribe((value) => value !== session && abort.abort());
    try {
      await readStream(session, abort);
    } catch (error) {
      if (wanted.value === session) trouble.value = (error as Error).message;
    }
    stop();
    if (wanted.value === session) await new Promise<void>((resolve) => systemClock.after(RETRY_MS, resolve));
  }
}

async function readStream(session: string | null, abort: AbortController): Promise<void> {
  const reader = (await open(session, abort.signal)).getReader();
  const decoder = new TextDecoder();
  const read = createEventReader();
  let hush = () => {};
  const listen = () => {
    hush();
    hush = systemClock.after(SILENT_MS, () => abort.abort());
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
