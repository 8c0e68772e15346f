import type { App, Image, ModalClient, Sandbox, SandboxCreateParams } from "modal";
import { formatGpu } from "../../src/config/gpu.ts";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";
import { sleep, systemClock } from "../../src/shared/clock.ts";
import { within } from "../../src/shared/time-limit.ts";
import type { Created } from "./created.ts";
import { Allowance } from "./estimate.ts";
import { type Live, type LiveCheck, type Scale, type Size, uniqueName } from "./live-check.ts";

const BASE = "python:3.12-slim";
const MINUTE_MS = 60_000;
/** A snapshot of 8 GB may take longer than any other call. */
const SNAPSHOT_MS = 20 * MINUTE_MS;
const CREATE_MS = 12 * MINUTE_MS;
const BUILD_MS = 20 * MINUTE_MS;

export interface LiveParts {
  readonly client: ModalClient;
  readonly app: App;
  readonly provider: SandboxProvider;
  readonly created: Created;
  readonly scale: Scale;
  readonly signal: AbortSignal;
}

/** What one check works with: nothing beyond its plan, and nothing that is not removed. Every call has a time limit. */
export function liveFor(check: LiveCheck, { client, app, provider, created, scale, signal }: LiveParts): Live {
  const allowance = new Allowance(check);
  const limited = <T>(call: Promise<T>, limitMs: number, doing: string) =>
    within(call, { clock: systemClock, limitMs, doing, signal });
  const make = <T extends Sandbox | Image>(making: Promise<T>, limitMs: number, doing: string): Promise<T> => {
    created.expect(making);
    return limited(making, limitMs, doing);
  };
  const paramsOf = (size: Size, lifetimeS: number, more: SandboxCreateParams = {}): SandboxCreateParams => {
    allowance.take(size, lifetimeS);
    return {
      timeoutMs: lifetimeS * 1000,
      cpu: size.cpu,
      cpuLimit: size.cpu,
      memoryMiB: size.memoryMiB,
      memoryLimitMiB: size.memoryMiB,
      ...(size.gpu && { gpu: formatGpu(size.gpu) }),
      command: ["sleep", "infinity"],
      ...more,
    };
  };
  return {
    client,
    app,
    provider,
    scale,
    signal,
    keep: (one) => created.add(one),
    take: paramsOf,
    async image(dockerfile = []) {
      // A line of its own, because images are addressed by their content, and deleting one that others use harms them.
      const own = client.images.fromRegistry(BASE).dockerfileCommands([`ENV LIVE_RUN=${app.name}`, ...dockerfile]);
      return make(own.build(app), BUILD_MS, "Building the image");
    },
    async create(size, lifetimeS, image, more) {
      return make(
        client.sandboxes.create(app, image, paramsOf(size, lifetimeS, more)),
        CREATE_MS,
        "Creating a sandbox",
      );
    },
    async run(sandbox, script, limitS = 120) {
      const doing = async () => {
        const child = await sandbox.exec(["sh", "-c", script], { mode: "text", timeoutMs: limitS * 1000 });
        await child.stdin.close().catch(() => {}); // it may have ended already
        const [stdout, stderr, code] = await Promise.all([
          child.stdout.readText(),
          child.stderr.readText(),
          child.wait(),
        ]);
        return { stdout, stderr, code };
      };
      return limited(doing(), limitS * 1000 + MINUTE_MS, "A command");
    },
    async snapshot(sandbox, ttlS) {
      const params = { timeoutMs: SNAPSHOT_MS, ttlMs: ttlS === null ? null : ttlS * 1000 };
      return make(sandbox.snapshotFilesystem(params), SNAPSHOT_MS + MINUTE_MS, "A snapshot");
    },
    async volume() {
      const name = uniqueName("parallel-agents-live");
      created.volumes.add(name);
      const making = client.volumes.fromName(name, { createIfMissing: true, version: 2 });
      return limited(making, MINUTE_MS, `Making volume ${name}`);
    },
    wait: (s) => sleep(systemClock, s * scale.secondMs, signal),
    now: () => performance.now(),
  };
}
