import { afterEach, expect } from "bun:test";
import type { GpuRequest } from "../../src/config/gpu.ts";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { ModalLimits } from "../../src/sandboxes/modal/limits.ts";
import type { ModalProviderDeps } from "../../src/sandboxes/modal/modal-provider.ts";
import type { SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";

/*
 * Faults in every call at every step. Each call must recover or fail with the right code, none may hang, and no sandbox may
 * be left.
 */

export const modal = useModalServer();
export const LIMITS: Partial<ModalLimits> = {
  callMs: 1200, createMs: 2000, gpuWaitMs: 1500, gpuBootMs: 2000, startMs: 1200, execMs: 1200, fileMs: 1200, exitMs: 800, graceMs: 100, snapshotMs: 1000, pollMs: 300, terminateMs: 1000,
}; // biome-ignore format: a table

export const CANCELLED = 1, INVALID = 3, NOT_FOUND = 5, EXHAUSTED = 8, PRECONDITION = 9, INTERNAL = 13, UNAVAILABLE = 14, UNAUTHENTICATED = 16; // biome-ignore format: codes
export const ALWAYS = 100_000;

export const open: SandboxProvider[] = [];
let count = 0;

export function provider(more: Partial<ModalProviderDeps> = {}): SandboxProvider {
  const made = modalProvider({ limits: LIMITS, ...more });
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
  let left = await live();
  for (let attempt = 0; attempt < 200 && left.length > 0; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    left = await live();
  }
  expect(left).toEqual([]);
}

export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error("the condition never became true");
}

afterEach(async () => {
  await modal().faults.clear();
  for (const { id } of await live()) await provider().terminate(id);
  for (const each of open.splice(0)) await each.close();
});
