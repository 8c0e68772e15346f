import { channel } from "node:diagnostics_channel";
import { existsSync } from "node:fs";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { HostClient } from "./host-client.ts";

/** Sessions of a disposed instance whose jobs go on. */
interface Handover {
  readonly directory: string;
  readonly sessions: readonly string[];
  /** Set by the instance that takes them up. */
  isTaken: boolean;
}

export interface Handovers {
  /** Calls the listener with the sessions that an earlier instance of this directory hands over. */
  onTaken(listener: (sessions: readonly string[]) => void): () => void;
  /**
   * Has the next instance of this directory take up these sessions. Returns once the end of this instance will be
   * noticed; everything else happens after that end. Never rejects.
   */
  give(sessions: readonly string[]): Promise<void>;
}

export interface HandoverDeps {
  readonly client: Pick<HostClient, "global" | "session">;
  /** Where the instance is open, absolute. */
  readonly directory: string;
  /** Resolves once the instance of the directory is whole. Never rejects. */
  readonly untilWhole: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A channel of the process: instances know nothing of each other, and one is gone before the next is there. */
const CHANNEL = "opencode-parallel-agents.handover";

/**
 * A host that ends, rather than reloads, has ended this long after its last instance, on a busy machine too: an instance
 * made while it ends would take the jobs up and lose them at once.
 */
const END_MS = 2_500;
/** Longest time that disposing of all plugins of an instance takes, as far as we wait for it. */
const DISPOSAL_MS = 20_000;
/** The stream announces itself a little before it hears of events. */
const HEARS_MS = 200;
/** Longest time to wait for the stream of events, which tells when the instance is gone. */
const CONNECT_MS = 2_000;
const PUBLISH_MS = 250;
/** OpenCode loads plugins in the background of an instance's start. */
const PUBLISH_TRIES = 120;

/**
 * Lets jobs go on after OpenCode has reloaded its configuration. OpenCode disposes of the instance of a directory, and
 * makes another only when something asks for it. So the old instance does, once it is gone for good: a request before
 * that would still reach the old one, and leave the next without what our config hook adds.
 * @source OpenCode 1.18.33, verified
 */
export function createHandovers({ client, directory, untilWhole, clock, log }: HandoverDeps): Handovers {
  const instances = channel(CHANNEL); // held: Bun forgets a channel that nobody refers to, with its subscribers

  async function wakeNext(sessions: readonly string[], isGone: Promise<unknown>): Promise<void> {
    await isGone;
    await sleep(clock, END_MS);
    if (!existsSync(directory)) return;
    await client.session.status(); // creates the next instance, if nobody has yet
    await untilWhole();
    const handover: Handover = { directory, sessions, isTaken: false };
    for (let tries = 0; tries < PUBLISH_TRIES && !handover.isTaken; tries++) {
      instances.publish(handover);
      if (!handover.isTaken) await sleep(clock, PUBLISH_MS);
    }
    if (!handover.isTaken) log("warn", "no instance took up the jobs of a disposed one", { directory, sessions });
  }

  /** @returns null when the end of the instance would not be noticed */
  async function watchEnd(): Promise<{ readonly isGone: Promise<unknown> } | null> {
    const abort = new AbortController();
    const { stream } = await client.global.event({ signal: abort.signal, sseMaxRetryAttempts: 1 });
    const connected = await Promise.race([stream.next(), sleep(clock, CONNECT_MS).then(() => null)]);
    if (!connected || connected.done) {
      abort.abort();
      return null;
    }
    await sleep(clock, HEARS_MS);
    const ended = (async () => {
      for await (const { directory: where, payload } of stream)
        if (where === directory && payload.type === "server.instance.disposed") return;
    })().catch(() => {});
    return { isGone: Promise.race([ended, sleep(clock, DISPOSAL_MS)]).finally(() => abort.abort()) };
  }

  return {
    onTaken(listener) {
      const hear = (message: unknown) => {
        const handover = message as Handover;
        if (handover.directory !== directory || handover.isTaken) return;
        handover.isTaken = true;
        listener(handover.sessions);
      };
      instances.subscribe(hear);
      return () => void instances.unsubscribe(hear);
    },
    async give(sessions) {
      if (sessions.length === 0) return;
      const failed = (error: unknown) =>
        log("warn", "could not hand over jobs to the next instance", { directory, reason: String(error) });
      try {
        const end = await watchEnd();
        if (end) wakeNext(sessions, end.isGone).catch(failed);
        else failed("the stream of events did not open");
      } catch (error) {
        failed(error);
      }
    },
  };
}
