import { createComputed, createMemo, createSignal, onCleanup, untrack } from "solid-js";
import type { Lab, LabArchive } from "../lab/lab.ts";
import { createEmitter } from "../shared/emitter.ts";
import type { LabAnswer, LabRequest, LabView } from "../views/lab-view.ts";

/** The lab, with the tasks of jobs. */
export type TaskLab = Lab & Pick<LabArchive, "records">;

/**
 * What all parts of the terminal UI read. The sessions on the screen are watched, and those whose jobs are alive; a session
 * of which nothing changes costs nothing.
 */
export interface LabSource {
  /** Live: a session's jobs, watched as long as the computation that calls this; null = it has none, or none are known yet. */
  follow(session: () => string | null): () => LabView | null;
  /** Live: the sessions that were seen with jobs that have not ended, and that a process has in use. */
  alive(): readonly LabView[];
  /** Looks at a session that is not on the screen, and goes on watching it while its jobs are alive. */
  look(session: string): void;
  /** Live: the lab; null until it is open. */
  lab(): TaskLab | null;
  /** Live: why there is nothing to see, in a sentence; null = all is well. */
  problem(): string | null;
  /** Calls `listener` with what was known of a session and what is now. */
  onChange(listener: (change: LabChange) => void): () => void;
  ask(session: string, request: LabRequest): Promise<LabAnswer>;
  close(): void;
}

export interface LabChange {
  /** null = it is the first look at the session. */
  readonly before: LabView | null;
  readonly after: LabView;
}

/** A session that is watched or was. */
interface Watched {
  readonly view: () => LabView | null;
  readonly set: (view: LabView | null) => void;
  /** Computations that follow it. */
  followers: number;
  stop: (() => void) | null;
}

/** @param open is called once, at once */
export function createLabSource(open: () => Promise<TaskLab>): LabSource {
  const [lab, setLab] = createSignal<TaskLab | null>(null);
  const [problem, setProblem] = createSignal<string | null>(null);
  const [alive, setAlive] = createSignal<readonly LabView[]>([]);
  const sessions = new Map<string, Watched>();
  const changes = createEmitter<LabChange>(() => {});
  let isClosed = false;

  const entryOf = (session: string): Watched => {
    const known = sessions.get(session);
    if (known) return known;
    const [view, set] = createSignal<LabView | null>(null);
    const made: Watched = { view, set: (to) => void set(() => to), followers: 0, stop: null };
    sessions.set(session, made);
    return made;
  };

  const read = (session: string): void => {
    const entry = entryOf(session);
    const before = entry.view();
    try {
      const after = lab()?.view(session) ?? null;
      setProblem(null);
      entry.set(after);
      if (after) changes.emit({ before, after });
    } catch (error) {
      setProblem(`Could not read the jobs: ${error instanceof Error ? error.message : String(error)}`);
    }
    setAlive([...sessions.values()].flatMap(({ view }) => view() ?? []).filter(hasLiveJobs));
    release(session, entry);
  };

  /** Ends the watch of a session that nobody looks at and whose jobs have all ended. */
  const release = (session: string, entry: Watched): void => {
    const view = entry.view();
    if (entry.followers === 0 && !(view && hasLiveJobs(view))) drop(session, entry);
  };

  const start = (session: string, entry: Watched): void => {
    const opened = lab();
    if (!opened || entry.stop || isClosed) return;
    entry.stop = opened.watch(session, EVERY_MS, () => read(session));
    read(session);
  };

  const drop = (session: string, entry: Watched): void => {
    entry.stop?.();
    entry.stop = null;
    sessions.delete(session);
  };

  const whenOpen = (opened: TaskLab): void => {
    if (isClosed) {
      opened.close();
      return;
    }
    setLab(() => opened);
    for (const [session, entry] of [...sessions]) start(session, entry);
  };
  open().then(whenOpen, (error: unknown) =>
    setProblem(`Could not open the jobs' state: ${error instanceof Error ? error.message : String(error)}`),
  );

  return {
    lab,
    problem,
    alive,
    onChange: changes.on,
    follow(session) {
      const id = createMemo(session);
      createComputed(() => {
        const current = id();
        if (current === null) return;
        const entry = entryOf(current);
        entry.followers += 1;
        untrack(() => start(current, entry));
        onCleanup(() => {
          entry.followers -= 1;
          untrack(() => release(current, entry));
        });
      });
      return () => {
        const current = id();
        return current === null ? null : entryOf(current).view();
      };
    },
    look(session) {
      start(session, entryOf(session));
    },
    async ask(session, request) {
      const opened = lab();
      if (opened) return await opened.ask(session, request);
      return { kind: "refused", code: "not_ready", message: "The jobs' state is not open yet; ask again." };
    },
    close() {
      isClosed = true;
      for (const [session, entry] of [...sessions]) drop(session, entry);
      lab()?.close();
    },
  };
}

/** Whether a session has jobs that a process works on or will: those of one that nobody has in use only wait for it. */
export const hasLiveJobs = ({ isLive, jobs }: LabView): boolean =>
  isLive && jobs.some(({ state }) => state === "queued" || state === "starting" || state === "running");

/** Between two looks at a session that changes all the time. */
const EVERY_MS = 500;
