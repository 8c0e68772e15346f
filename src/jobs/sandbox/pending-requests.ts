import { factsOf } from "../../sandboxes/facts-of.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";

/** A sandbox whose requests are timed, so that views can say at once that it does not answer. */
export interface TrackedSandbox {
  readonly sandbox: Sandbox;
  /** When the oldest unanswered request was sent, epoch ms; null when every request is answered. */
  pendingSince(): number | null;
  /** Whether a command that was started through it runs. */
  isBusy(): boolean;
}

/** Times requests that a healthy sandbox answers within moments: starting a command, reading or writing a piece of a file. */
export function trackRequests(sandbox: Sandbox, clock: Clock): TrackedSandbox {
  const pending = new Map<symbol, number>();
  let running = 0;
  const start: Sandbox["start"] = async (request) => {
    const process = await sandbox.start(request);
    running++;
    void process.exit.then(() => running--);
    return process;
  };
  const timed = async <T>(request: () => Promise<T>): Promise<T> => {
    const key = Symbol();
    pending.set(key, clock.now());
    try {
      return await request();
    } finally {
      pending.delete(key);
    }
  };
  const { usage, view, reloadVolumes } = sandbox;
  return {
    sandbox: {
      ...factsOf(sandbox),
      usage,
      view,
      reloadVolumes,
      start: (request) => timed(() => start(request)),
      readFile: (path, range) => timed(() => sandbox.readFile(path, range)),
      writeFile: (path, content, options) => timed(() => sandbox.writeFile(path, content, options)),
      setTags: (tags) => sandbox.setTags(tags),
      terminate: () => sandbox.terminate(),
    },
    pendingSince: () => (pending.size === 0 ? null : Math.min(...pending.values())),
    isBusy: () => running > 0,
  };
}
