import { DEFAULT_AGENT } from "../../core/task.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { type HostClient, unwrap } from "./host-client.ts";

/*
 * OpenCode answers a request to reload at once, and serves the directory all the while it disposes of its instance. What it
 * needs for that it builds anew, part by part, and keeps it for the next instance. A prompt asks for an agent before it
 * asks for plugins, so the next instance has none of what our config hook adds: not the agent of jobs, nor the rules that
 * keep their tools from others. It stays so until it is disposed of in its turn.
 * @source OpenCode 1.18.33, verified
 */

/** What our part of disposing of an instance still does, by directory, until somebody has looked at the next one. */
const disposals = new Map<string, Promise<unknown>>();
/** Looks at instances that are under way, by directory. */
const looks = new Map<string, Promise<void>>();

export interface WholeInstanceDeps {
  readonly client: Pick<HostClient, "app" | "instance" | "session">;
  /** Where the instance is open, absolute. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The instance that is open in the directory, if one is. */
  readonly open: () => object | undefined;
}

const AGAIN_MS = 50;
const AGAIN_TRIES = 200;

/** OpenCode has begun to dispose of an instance of the directory. */
export function disposing(directory: string, done: Promise<unknown>): void {
  disposals.set(directory, done);
}

/**
 * Has OpenCode load the directory's instance again if it was loaded without what our config hook adds. Must be called before
 * anything runs in an instance, which would end with it. Looks once after each disposal, and never rejects.
 */
export function untilWhole(deps: WholeInstanceDeps): Promise<void> {
  const { directory, log } = deps;
  const disposal = disposals.get(directory);
  if (looks.has(directory) || !disposal) return looks.get(directory) ?? Promise.resolve();
  const look = (async () => {
    try {
      await disposal.catch(() => {});
      await loadAgainUnlessWhole(deps);
    } catch (error) {
      log("warn", "could not make sure that OpenCode has loaded this plugin whole", {
        directory,
        reason: String(error),
      });
    } finally {
      disposals.delete(directory);
      looks.delete(directory);
    }
  })();
  looks.set(directory, look);
  return look;
}

async function loadAgainUnlessWhole({ client, directory, clock, log, open }: WholeInstanceDeps): Promise<void> {
  const doing = "load the instance again";
  const agents = await unwrap(client.app.agents(), "session_create_failed", "list the agents");
  if (agents.some(({ name }) => name === DEFAULT_AGENT)) return;
  log("warn", "OpenCode had kept this instance's agents from the one before; it loads the instance again", {
    directory,
  });
  const before = open();
  await unwrap(client.instance.dispose(), "session_create_failed", doing);
  for (let tries = 0; open() === undefined || open() === before; tries++) {
    if (tries === AGAIN_TRIES) throw new Error("OpenCode has not loaded it again");
    await sleep(clock, AGAIN_MS);
    await unwrap(client.session.status(), "session_create_failed", doing); // needs no agent, and waits for a new instance
  }
}
