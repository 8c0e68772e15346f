import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { Config, PluginInput } from "@opencode-ai/plugin";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { within } from "../../shared/time-limit.ts";
import { createHostClient, type HostClient, isServer, readSession, unwrap } from "./host-client.ts";
import { isJoined } from "./instances.ts";

/** The instances of OpenCode in which the sessions of jobs run, each behind a client of its own. */
export interface JobInstances {
  /** Where a new session is to run. Never rejects. */
  forNew(): Promise<HostClient>;
  /**
   * Where a session runs, whatever the user wants now: OpenCode runs it in the instance of its directory, and says there what
   * it does. Of one that cannot be read, the instance that says so. Never rejects.
   */
  of(sessionID: string): Promise<HostClient>;
  /** All in which sessions of jobs may run at the moment, the one that the user has open first. */
  all(): readonly [HostClient, ...HostClient[]];
  /** Takes in what OpenCode says of a session. */
  learn(session: { readonly id: string; readonly directory?: string }): void;
  /** Opens the instance for jobs ahead of the first one. Returns at once. */
  prepare(): void;
  /** Ends the instance for jobs, and their turns with it, as its project's ends. Never rejects. */
  close(): Promise<void>;
}

/** All sessions run in the instance that the user has open. */
export const inOne = (client: HostClient): JobInstances => ({
  forNew: async () => client,
  of: async () => client,
  all: () => [client],
  learn() {},
  prepare() {},
  async close() {},
});

export interface JobInstancesDeps {
  readonly input: Pick<PluginInput, "client" | "directory" | "worktree">;
  /** Of the instance that the user has open. */
  readonly client: HostClient;
  readonly isWanted: () => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Log;
}

/** So long the first job waits for its instance. A busy machine takes seconds, an OpenCode that installs packages a minute. */
const PATIENCE_MS = 10_000;
/** The most that one request waits while OpenCode loads the instance. */
const OPEN_MS = 120_000;
const OPEN_TRIES = 200;
const AGAIN_MS = 50;
const CLOSE_MS = 1_000;
/** An event that means nothing to anybody. */
const HERE = { type: "tui.command.execute", properties: { command: "parallel-agents:here" } } as const;

/**
 * Before and after each step of each session OpenCode takes a snapshot of the whole working tree, one after another for all
 * sessions of an instance, so that a user can undo what was done to it. Jobs do nothing to it. So their sessions run in an
 * instance of their own, opened at the project's `.git` folder: to OpenCode it is the same project with the same
 * configuration, of which our hook switches off what is for the user's own work. The terminal UI follows the sessions of
 * all instances.
 * @source OpenCode 1.18.33, verified
 */
export function createJobInstances({ input, client, isWanted, clock, log }: JobInstancesDeps): JobInstances {
  const folder = join(input.directory, ".git");
  /** Directories of sessions. Kept when a session is deleted: its turn is stopped after that. */
  const places = new Map<string, string>();
  let apart: HostClient | null = null;
  let opening: Promise<HostClient> | null = null;
  /** It could not be opened in time. No other job waits for that again. */
  let isGivenUp = false;
  let isClosing = false;

  const isPossible = () => input.directory === input.worktree && isFolder(folder);

  const limit = (doing: string, limitMs: number) => ({ clock, limitMs, doing });

  async function open(own: HostClient): Promise<HostClient> {
    for (let tries = 0; !isJoined(folder); tries++) {
      if (tries === OPEN_TRIES) throw new Error("the plugin hears nothing of it");
      if (tries > 0) await sleep(clock, AGAIN_MS);
      // OpenCode answers requests while it still loads an instance. When its plugins hear of this, it is ready.
      await within(
        unwrap(own.tui.publish({ body: HERE }), "session_create_failed", "open an instance for jobs"),
        limit("Opening an instance of OpenCode for jobs", OPEN_MS),
      );
    }
    return own;
  }

  /** Rejects where the instance is not there in time; it is opened further then. */
  function opened(own: HostClient): Promise<HostClient> {
    if (isJoined(folder) || isClosing) return Promise.resolve(own);
    opening ??= open(own).finally(() => {
      opening = null;
    });
    return within(opening, limit("Opening an instance of OpenCode for jobs", PATIENCE_MS));
  }

  const clientApart = (): HostClient => {
    apart ??= createHostClient(input, folder);
    return apart;
  };

  async function forNew(): Promise<HostClient> {
    if (!isPossible() || (isGivenUp && !isJoined(folder))) return client;
    try {
      return (await isWanted()) ? await opened(clientApart()) : client;
    } catch (error) {
      isGivenUp = true;
      log("warn", "jobs run in the instance of OpenCode that is open", { folder, reason: String(error) });
      return client;
    }
  }

  function learn({ id, directory }: { readonly id: string; readonly directory?: string }): void {
    if (directory !== undefined) places.set(id, directory);
  }

  return {
    forNew,
    async of(sessionID) {
      if (!places.has(sessionID)) await readSession(client, sessionID).then(learn, () => {});
      if (places.get(sessionID) !== folder) return client;
      return await opened(clientApart()).catch(clientApart);
    },
    all: () => (apart ? [client, apart] : [client]),
    learn,
    prepare: () => void forNew(),
    async close() {
      isClosing = true;
      if (!apart || !(isJoined(folder) || opening)) return;
      // OpenCode ends it as well where it ends itself.
      await within(apart.instance.dispose(), limit("Closing the instance for jobs", CLOSE_MS)).catch(() => {});
    },
  };
}

/**
 * Whether jobs are better off in an instance of their own, where the user leaves that to us: OpenCode takes snapshots; there
 * is no other plugin, which may not stand to be loaded for that folder; and no web page or desktop app, which show what
 * happens in another instance only once it is over.
 */
export function isOwnInstanceBetter(config: Pick<Config, "plugin" | "snapshot">, input: Pick<PluginInput, "client">) {
  return config.snapshot !== false && (config.plugin ?? []).length <= 1 && !isServer(input);
}

/** Linked worktrees and submodules have a file there, and a project without git has no snapshots either. */
function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
