import type { App, Image, ModalClient, Sandbox, SandboxCreateParams, Volume } from "modal";
import type { GpuRequest } from "../../src/config/gpu.ts";
import { messageOf } from "../../src/sandboxes/modal/modal-error.ts";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";

/** A question to Modal's own service, about something that the code takes for granted. */
export interface LiveCheck {
  readonly name: string;
  /** What the code takes for granted, one sentence. */
  readonly assumes: string;
  /** Files that depend on the answer. */
  readonly usedBy: readonly string[];
  /** Every sandbox that it may create. Their full lifetimes are its estimate, and it can create no others. */
  readonly plan: readonly Planned[];
  run(live: Live): Promise<Finding>;
}

export interface Planned {
  readonly size: Size;
  readonly count: number;
  /** After this time Modal itself ends the sandbox, even if this process has died. */
  readonly lifetimeS: number;
}

export interface Finding {
  /** "not shown": the answer could not be provoked this time. */
  readonly verdict: "as assumed" | "different" | "not shown";
  readonly found: string;
}

/** What a sandbox asks for. It cannot use more, because use beyond the request is billed. */
export interface Size {
  readonly cpu: number;
  readonly memoryMiB: number;
  readonly gpu: GpuRequest | null;
}

const size = (cpu: number, memoryMiB: number, gpu: GpuRequest | null = null): Size => ({ cpu, memoryMiB, gpu });

export const TINY = size(0.125, 256);
export const SMALL = size(0.25, 512);
export const LARGE = size(2, 4096);
export const WITH_T4 = size(1, 2048, { type: "T4", count: 1, exact: false });
export const withGpus = (gpu: GpuRequest): Size => size(2 * gpu.count, 16_384 * gpu.count, gpu);

/** What differs between a run on Modal and one against the test server, where everything is smaller and quicker. */
export interface Scale {
  readonly treeMiB: number;
  /** Real milliseconds per second of a lifetime or an expiry. */
  readonly secondMs: number;
  /** Sandboxes asked for at once. */
  readonly creations: number;
  /** Dockerfile lines that install torch, and the program that starts its processes. */
  readonly torch: { readonly dockerfile: readonly string[]; readonly torchrun: string };
}

export const REAL: Scale = {
  treeMiB: 8192,
  secondMs: 1000,
  creations: 20,
  torch: {
    dockerfile: ["RUN pip install --no-cache-dir torch==2.9.1 --index-url https://download.pytorch.org/whl/cu128"],
    torchrun: "torchrun",
  },
};

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a check works with. All that it creates is removed after the last check. */
export interface Live {
  readonly client: ModalClient;
  readonly app: App;
  /** The adapter itself; its sandboxes count as `LARGE` ones. */
  readonly provider: SandboxProvider;
  readonly scale: Scale;
  readonly signal: AbortSignal;
  /** An image of this run, with Python. @param dockerfile further lines */
  image(dockerfile?: readonly string[]): Promise<Image>;
  /**
   * Creates a sandbox of the plan, with a main process that waits unless `params` says otherwise.
   * @throws Error when the check's plan has no such sandbox left; what the SDK throws
   */
  create(size: Size, lifetimeS: number, image: Image, params?: SandboxCreateParams): Promise<Sandbox>;
  /** Takes one sandbox from the plan for a creation that does not go through `create`, and returns its parameters. */
  take(size: Size, lifetimeS: number, params?: SandboxCreateParams): SandboxCreateParams;
  /** Remembers what was created elsewhere, so that it is removed. */
  keep(created: Sandbox | Image): void;
  run(sandbox: Sandbox, script: string, limitS?: number): Promise<Ran>;
  /** @param ttlS null = never expires by itself */
  snapshot(sandbox: Sandbox, ttlS: number | null): Promise<Image>;
  volume(): Promise<Volume>;
  /** Waits for seconds of Modal's time. */
  wait(seconds: number): Promise<void>;
  /** Milliseconds since any moment, for measuring. */
  now(): number;
}

/** An unique name in this run. */
export const uniqueName = (prefix: string): string => `${prefix}-${crypto.randomUUID().slice(0, 8)}`;

/** How a call failed, in a few words; null = it did not. */
export async function failureOf(call: () => Promise<unknown>): Promise<string | null> {
  try {
    await call();
    return null;
  } catch (error) {
    return messageFor(error);
  }
}

/** An error's class, its gRPC code if it has one, and what the server said. */
export function messageFor(error: unknown): string {
  const { name = "error", code } = error as { name?: string; code?: unknown };
  return `${name}${typeof code === "number" ? ` ${code}` : ""}: ${messageOf(error).slice(0, 160)}`;
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
