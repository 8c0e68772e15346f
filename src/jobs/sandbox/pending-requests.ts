import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";

/** A sandbox whose tools are timed, so that one that stops answering is seen at once. */
export interface TrackedSandbox {
  readonly sandbox: Sandbox;
  /** Since when the longest pending request waits for its answer; null when none does. Epoch ms. */
  pendingSince(): number | null;
}

/** What takes a moment by nature is timed: starting a command, and small pieces of files; not what a command takes. */
export function trackRequests(sandbox: Sandbox, clock: Clock): TrackedSandbox {
  const pending = new Map<symbol, number>();
  const timed = async <T>(request: () => Promise<T>): Promise<T> => {
    const key = Symbol();
    pending.set(key, clock.now());
    try {
      return await request();
    } finally {
      pending.delete(key);
    }
  };
  const { id, workdir, home, notes, gpu, ports, ended, view } = sandbox;
  return {
    sandbox: {
      id,
      workdir,
      home,
      notes,
      gpu,
      ports,
      ended,
      view,
      start: (request) => timed(() => sandbox.start(request)),
      readFile: (path, range) => timed(() => sandbox.readFile(path, range)),
      writeFile: (path, content, options) => timed(() => sandbox.writeFile(path, content, options)),
      terminate: () => sandbox.terminate(),
    },
    pendingSince: () => (pending.size === 0 ? null : Math.min(...pending.values())),
  };
}
