import type { Clock } from "../shared/clock.ts";
import { type ErrorCode, PluginError } from "../shared/error-code.ts";
import { whyImpossible } from "../shared/possible-path.ts";
import { DeadlineError, within } from "../shared/time-limit.ts";
import { boundProcess } from "./bounded-process.ts";
import { factsOf } from "./facts-of.ts";
import { FileError, type Sandbox, type SandboxProcess, type SandboxProvider } from "./port.ts";

/*
 * The port promises that every call ends in bounded time. Adapters have their own limits, which are shorter and have better
 * messages. The limits here are the last resort, so that no caller waits forever whatever a job or a provider does.
 */

const MINUTE_MS = 60_000;
/** Includes building an image, waiting for a GPU and several attempts; the user may allow hours for them. */
const CREATE_MS = 24 * 60 * MINUTE_MS;
const ATTACH_MS = 5 * MINUTE_MS;
const START_MS = 4 * MINUTE_MS;
const FILE_MS = 4 * MINUTE_MS;
const TERMINATE_MS = 5 * MINUTE_MS;
const LIST_MS = 5 * MINUTE_MS;
/** Removing millions of small files takes minutes. */
const REMOVE_MS = 15 * MINUTE_MS;
const SNAPSHOT_MS = 12 * MINUTE_MS;
const CLOSE_MS = 20_000;
const METER_MS = 10_000;
const BYTES_PER_SECOND = 256 * 1024;

/** The provider with a time limit on every call. @param snapshotMs the user's time limit for a snapshot, milliseconds */
export function boundProvider(provider: SandboxProvider, clock: Clock, snapshotMs: number): SandboxProvider {
  const inner = new WeakMap<Sandbox, Sandbox>();
  const bound = (sandbox: Sandbox): Sandbox => {
    const outer = boundSandbox(sandbox, clock);
    inner.set(outer, sandbox);
    return outer;
  };
  const { snapshots } = provider;
  return {
    name: provider.name,
    async create(spec, signal, onStep) {
      const doing = `Creating sandbox ${spec.name}`;
      const late = (sandbox: Sandbox) => void sandbox.terminate().catch(() => {}); // else garbage collection ends it
      const giveUp = new AbortController();
      const stop = signal ? AbortSignal.any([signal, giveUp.signal]) : giveUp.signal;
      const made = provider.create(spec, stop, onStep);
      return bound(
        await inTime(made, { clock, limitMs: CREATE_MS, doing, onLate: late }, "sandbox_create_timeout").catch(
          (error: unknown) => {
            giveUp.abort();
            throw error;
          },
        ),
      );
    },
    async attach(id, env, devices) {
      const found = provider.attach(id, env, devices);
      return bound(await inTime(found, { clock, limitMs: ATTACH_MS, doing: `Finding sandbox ${id}` }, "sandbox_lost"));
    },
    terminate: (id) =>
      inTime(provider.terminate(id), { clock, limitMs: REMOVE_MS, doing: `Ending sandbox ${id}` }, "sandbox_lost"),
    list: () => inTime(provider.list(), { clock, limitMs: LIST_MS, doing: "Listing the sandboxes" }, "sandbox_lost"),
    hasEnded: provider.hasEnded && ((id) => orNull(provider.hasEnded?.(id), `Asking for sandbox ${id}`, clock)),
    place: provider.place,
    lent: provider.lent,
    // Prices and meters only make estimates better, so nothing waits long for them.
    prices: provider.prices && (() => orNull(provider.prices?.(), "Asking for prices", clock)),
    snapshots: snapshots && {
      derives: (id) => snapshots.derives(id),
      keep(sandbox) {
        const limitMs = Math.max(SNAPSHOT_MS, snapshotMs + MINUTE_MS);
        const onLate = ({ id }: { id: string }) => void snapshots.remove(id).catch(() => {}); // as above
        const limit = { clock, limitMs, doing: `Keeping the files of sandbox ${sandbox.id}`, onLate };
        return inTime(snapshots.keep(inner.get(sandbox) ?? sandbox), limit, "snapshot_failed");
      },
      retire: (sandbox, on) =>
        inTime(
          snapshots.retire(inner.get(sandbox) ?? sandbox, on),
          { clock, limitMs: SNAPSHOT_MS, doing: `Ending sandbox ${sandbox.id} and keeping its files` },
          "snapshot_failed",
        ),
      freeze:
        snapshots.freeze &&
        ((id, isRefused) =>
          inTime(
            snapshots.freeze?.(id, isRefused) ?? Promise.reject(new Error("It cannot freeze sandboxes.")),
            { clock, limitMs: Math.max(SNAPSHOT_MS, snapshotMs + MINUTE_MS), doing: `Freezing sandbox ${id}` },
            "snapshot_failed",
          )),
      async take(sandbox, path, used) {
        if (path !== null) requirePossible(path);
        const limitMs = Math.max(SNAPSHOT_MS, snapshotMs + MINUTE_MS);
        const limit = { clock, limitMs, doing: `Taking a snapshot of sandbox ${sandbox.id}` };
        const onLate = ({ id }: { id: string }) => void snapshots.remove(id).catch(() => {}); // else it expires, or garbage collection removes it
        return inTime(
          snapshots.take(inner.get(sandbox) ?? sandbox, path, used),
          { ...limit, onLate },
          "snapshot_failed",
        );
      },
      ofLost: (id) =>
        inTime(
          snapshots.ofLost(id),
          {
            clock,
            limitMs: Math.max(SNAPSHOT_MS, snapshotMs + MINUTE_MS),
            doing: `Keeping the last files of sandbox ${id}`,
          },
          "snapshot_failed",
        ),
      remove: (id) =>
        inTime(
          snapshots.remove(id),
          { clock, limitMs: REMOVE_MS, doing: `Removing snapshot ${id}` },
          "snapshot_failed",
        ),
      orphans: () =>
        inTime(snapshots.orphans(), { clock, limitMs: LIST_MS, doing: "Listing the snapshots" }, "snapshot_failed"),
    },
    // What a failed close leaves ends with this process, or the next process finds it.
    close: () => within(provider.close(), { clock, limitMs: CLOSE_MS, doing: "Closing" }).catch(() => {}),
  };
}

function boundSandbox(sandbox: Sandbox, clock: Clock): Sandbox {
  const { id, usage, view, reloadVolumes } = sandbox;
  const limited = <T>(call: Promise<T>, limitMs: number, doing: string): Promise<T> =>
    inTime(call, { clock, limitMs, doing: `${doing} in sandbox ${id}` }, "sandbox_lost");
  const fileMs = (bytes: number) => FILE_MS + (Math.min(bytes, 1024 ** 3) / BYTES_PER_SECOND) * 1000;
  return {
    ...factsOf(sandbox),
    usage: usage && (() => orNull(usage.call(sandbox), `Asking what sandbox ${id} has used`, clock)),
    async start(request) {
      requirePossible(request.workdir ?? "");
      if ([...request.argv, ...Object.values(request.env ?? {})].some((word) => word.includes("\0")))
        throw new FileError("file_failed", "A command cannot contain a NUL character.");
      const limit = { clock, limitMs: START_MS, doing: `Starting a command in sandbox ${id}` };
      // A command that starts after the time limit would have no reader and nobody to end it.
      const onLate = (late: SandboxProcess) => void late.signal("SIGKILL").catch(() => {});
      return boundProcess(await inTime(sandbox.start(request), { ...limit, onLate }, "sandbox_lost"), clock);
    },
    async readFile(path, range) {
      requirePossible(path);
      return limited(sandbox.readFile(path, range), fileMs(range.maxBytes), `Reading ${path}`);
    },
    async writeFile(path, content, options) {
      requirePossible(path);
      return limited(sandbox.writeFile(path, content, options), fileMs(content.length), `Writing ${path}`);
    },
    reloadVolumes: reloadVolumes && (() => limited(reloadVolumes(), START_MS, "Reloading the volumes")),
    setTags: (tags) => limited(sandbox.setTags(tags), START_MS, "Changing its tags"),
    // No limit here, because `use` has its own.
    view: view && ((use) => view((files) => use(boundSandbox(files, clock)))),
    terminate: () => limited(sandbox.terminate(), TERMINATE_MS, "Ending everything"),
  }; // biome-ignore format: the simple ones in one line
}

const orNull = <T>(call: Promise<T | null> | undefined, doing: string, clock: Clock): Promise<T | null> =>
  within(call ?? Promise.resolve(null), { clock, limitMs: METER_MS, doing }).catch(() => null);

/** What no file system can look up would be cut at the NUL by one provider, and be waited for by another. */
function requirePossible(path: string): void {
  const why = whyImpossible(path);
  if (why !== null) throw new FileError("file_failed", `The path ${why}.`);
}

async function inTime<T>(call: Promise<T>, limit: Parameters<typeof within<T>>[1], code: ErrorCode): Promise<T> {
  try {
    return await within(call, limit);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new PluginError(code, `${error.message}: no answer came.`, { cause: error, retryable: true });
  }
}
