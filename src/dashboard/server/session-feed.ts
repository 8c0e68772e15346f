import type { Lab } from "../../lab/lab.ts";
import type { Clock } from "../../shared/clock.ts";
import { type Parts, toParts } from "./parts.ts";

/** Most sessions that a page can choose from. */
const MOST_SESSIONS = 50;
/** A page learns of a change within this time. */
const EVERY_MS = 500;
/** How often the list of sessions is read. */
const SESSIONS_MS = 3_000;

export type ReadLab = Pick<Lab, "sessions" | "view" | "watch">;

interface Feed {
  parts: Parts;
  readonly followers: Set<(parts: Parts) => void>;
  readonly stop: () => void;
}

/** Sessions as pages follow them: each is read once per change, however many pages show it, and not at all where none does. */
export class SessionFeeds {
  readonly #feeds = new Map<string | null, Feed>();
  readonly #lab: ReadLab;
  readonly #clock: Clock;

  constructor(lab: ReadLab, clock: Clock) {
    this.#lab = lab;
    this.#clock = clock;
  }

  /**
   * Calls `listener` at once with the session's parts, and again whenever it was read anew.
   * @param session null = there is none yet; only the list of sessions is told then
   * @returns the function that ends this
   */
  follow(session: string | null, listener: (parts: Parts) => void): () => void {
    const feed = this.#feeds.get(session) ?? this.#start(session);
    feed.followers.add(listener);
    listener(feed.parts);
    return () => {
      if (!feed.followers.delete(listener) || feed.followers.size > 0) return;
      feed.stop();
      this.#feeds.delete(session);
    };
  }

  close(): void {
    for (const feed of this.#feeds.values()) feed.stop();
    this.#feeds.clear();
  }

  #start(session: string | null): Feed {
    const refresh = () => {
      feed.parts = this.#read(session);
      for (const follower of [...feed.followers]) follower(feed.parts);
    };
    const watching = session === null ? () => {} : this.#lab.watch(session, EVERY_MS, refresh);
    let stopTimer = () => {};
    const again = () => {
      stopTimer = this.#clock.after(SESSIONS_MS, () => {
        again();
        refresh();
      });
    };
    again();
    const stop = () => {
      watching();
      stopTimer();
    };
    const feed: Feed = { parts: this.#read(session), followers: new Set(), stop };
    this.#feeds.set(session, feed);
    return feed;
  }

  #read(session: string | null): Parts {
    const at = new Date(this.#clock.now()).toISOString();
    const sessions = this.#lab.sessions(null).slice(0, MOST_SESSIONS);
    return toParts(session === null ? null : this.#lab.view(session), sessions, at);
  }
}
