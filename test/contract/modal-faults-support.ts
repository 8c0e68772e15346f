import { afterEach } from "bun:test";
import type { GpuRequest } from "../../src/config/gpu.ts";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { ModalLimits } from "../../src/sandboxes/modal/limits.ts";
import type { ModalProviderDeps } from "../../src/sandboxes/modal/modal-provider.ts";
import type { SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { until } from "../support/wait.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";

/*
 * Faults in every call at every step. Each call must recover or fail with the right code, none may hang, and no sandbox may
 * be left.
 */

export const modal = useModalServer();

/**
 * Pauses of a provider, shortened. Its time limits are the usual ones, which a slow machine keeps too: a test that shows a
 * limit shortens that one, where nothing else is bound by it.
 */
const PAUSES: Partial<ModalLimits> = { graceMs: 100, pollMs: 300 };

export const CANCELLED = 1, INVALID = 3, NOT_FOUND = 5, DENIED = 7, EXHAUSTED = 8, PRECONDITION = 9, INTERNAL = 13, UNAVAILABLE = 14, UNAUTHENTICATED = 16; // biome-ignore format: codes
export const ALWAYS = 100_000;

export const open: SandboxProvider[] = [];
let count = 0;

export function provider(more: Partial<ModalProviderDeps> = {}): SandboxProvider {
  const made = modalProvider({ ...more, limits: { ...PAUSES, ...more.limits } });
  open.push(made);
  return made;
}

export const specOf = (more: Partial<SandboxSpec> = {}): SandboxSpec => ({
  name: `fault-${count++}`, tags: { suite: "faults" }, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open", ...more,
}); // biome-ignore format: a table

export const withGpu = (gpu: GpuRequest): Partial<SandboxSpec> => ({ machine: { ...DEFAULT_MACHINE, gpu } });
export const gpu = (type: string, much = 1): GpuRequest => ({ type, count: much, exact: false });
export const live = () => modal().sandboxes({ live: true });
export const failsWith = async (
  work: Promise<unknown>,
): Promise<{ code: string; retryable: boolean | null; message: string }> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error as never;
};

export async function untilNoneLeft(): Promise<void> {
  let left: unknown = null;
  const isNoneLeft = async () => {
    const found = await live();
    left = found;
    return found.length === 0;
  };
  await until(isNoneLeft, { what: "no sandbox is left", seen: () => left });
}

afterEach(async () => {
  await modal().faults.clear();
  for (const { id } of await live()) await provider().terminate(id);
  for (const each of open.splice(0)) await each.close();
});
