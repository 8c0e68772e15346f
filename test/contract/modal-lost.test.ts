import { afterEach, describe, expect } from "bun:test";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { modalTest } from "../support/modal-test.ts";
import {
  ALWAYS,
  failsWith,
  gpu,
  INVALID,
  modal,
  provider,
  specOf,
  UNAVAILABLE,
  withGpu,
} from "./modal-faults-support.ts";
import { MODAL_OPTIONS } from "./modal-support.ts";

const KINDS: Readonly<Record<string, Partial<SandboxSpec>>> = { V2: {}, "V1, with a GPU": withGpu(gpu("T4")) };

const ofLost = (made: SandboxProvider, id: string) => made.snapshots?.ofLost(id) ?? Promise.reject(new Error("none"));
const keeping = (more: Partial<SandboxSpec> = {}) => specOf({ keepsLastFiles: true, ...more });
const readWork = async (made: SandboxProvider, snapshotID: string) => {
  const reader = await made.create(specOf({ snapshotID }));
  return Buffer.from(await reader.readFile("work", { offset: 0, maxBytes: 99 })).toString();
};

afterEach(async () => {
  await modal().faults.clear();
});

modalTest("whether a sandbox has ended is known in another app too, and of an unknown one it is not", async () => {
  const sandbox = await provider().create(specOf());
  const elsewhere = provider({ options: { ...MODAL_OPTIONS, app: "another" } });
  expect((await elsewhere.list()).map(({ id }) => id)).not.toContain(sandbox.id);
  const look = (id: string) => elsewhere.hasEnded?.(id);
  expect([await look(sandbox.id), await look("sb-0000000000000000000000")]).toEqual([false, null]);
  await modal().kill(sandbox.id);
  await sandbox.ended;
  expect(await look(sandbox.id)).toBe(true);
});

describe("the last files of a lost sandbox:", () => {
  for (const [kind, more] of Object.entries(KINDS)) {
    modalTest(`${kind}: are those of its last moment, also for a process that never had it`, async () => {
      const first = provider();
      const sandbox = await first.create(keeping(more));
      await sandbox.writeFile("work", Buffer.from("at the last moment"));
      await modal().kill(sandbox.id);
      expect(await sandbox.ended).toMatchObject({ code: "sandbox_lost", retryable: true });
      for (const made of [first, provider()]) {
        const taken = await ofLost(made, sandbox.id);
        expect(taken?.expiresAt ?? 0).toBeGreaterThan(Date.now() + 29 * 86_400_000);
        expect(await readWork(made, taken?.id ?? "")).toBe("at the last moment");
      }
    });
  }

  modalTest("are there when its lifetime is over, and when it was idle for too long", async () => {
    const made = provider();
    const short = { ...DEFAULT_MACHINE, lifetimeMs: 6_000, idleTimeoutMs: 6_000 };
    const idle = { ...DEFAULT_MACHINE, idleTimeoutMs: 3_000 };
    const sandboxes = await Promise.all([short, idle].map((machine) => made.create(keeping({ machine }))));
    await sandboxes[0]?.start({ argv: ["sleep", "60"] }); // so that it is not idle
    for (const sandbox of sandboxes) {
      await sandbox.writeFile("work", Buffer.from("in time")).catch(() => {}); // the second may have ended
      expect(await sandbox.ended).toMatchObject({ retryable: true });
      expect(await ofLost(made, sandbox.id)).not.toBeNull();
    }
  });

  modalTest(
    "are waited for while they are pending, and not for ever",
    async () => {
      const made = provider();
      const sandbox = await made.create(keeping());
      await sandbox.writeFile("work", Buffer.from("late"));
      await modal().kill(sandbox.id);
      await sandbox.ended;
      await modal().faults.add({ method: "SandboxGetExitSnapshotV2", delayMs: 400 });
      expect(await ofLost(made, sandbox.id)).not.toBeNull();
      await modal().faults.add({ method: "SandboxGetExitSnapshotV2", hang: true, times: ALWAYS });
      const hurried = provider({ limits: { snapshotMs: 1000 } });
      expect(await failsWith(ofLost(hurried, sandbox.id))).toMatchObject({ code: "snapshot_failed", retryable: true });
    },
    30_000,
  );

  modalTest("are none, not an error, where Modal has none and will have none", async () => {
    const made = provider();
    const unasked = await made.create(specOf());
    await modal().kill(unasked.id);
    expect(await ofLost(made, unasked.id)).toBeNull();
    expect(await ofLost(made, "sb-0123456789012345678901")).toBeNull();
    expect(await ofLost(made, "../../etc")).toBeNull();
  });

  modalTest(
    "are an error that may pass when Modal cannot be reached",
    async () => {
      const made = provider();
      const sandbox = await made.create(keeping());
      await modal().kill(sandbox.id);
      await modal().faults.add({ method: "SandboxGetExitSnapshotV2", code: UNAVAILABLE, times: ALWAYS });
      const hurried = provider({ limits: { snapshotMs: 1000 } });
      expect(await failsWith(ofLost(hurried, sandbox.id))).toMatchObject({ code: "snapshot_failed", retryable: true });
    },
    30_000,
  );
});

describe("where Modal refuses to keep last files:", () => {
  modalTest("a sandbox is created without, which is remembered per kind and told once", async () => {
    const made = provider();
    const asked = () =>
      modal()
        .calls()
        .then((calls) => calls.filter(({ method }) => method.startsWith("SandboxCreate")));
    const before = (await asked()).length;
    const message = "enable_exit_snapshot is not supported for this sandbox";
    await modal().faults.add({ method: "SandboxCreateV2", code: INVALID, message });
    const first = await made.create(keeping());
    expect(first.notes.join()).toContain("keeps no last files of sandboxes without a GPU");
    expect((await made.create(keeping())).notes).toEqual([]);
    const withGpuToo = await made.create(keeping(withGpu(gpu("T4"))));
    const options = (await asked()).slice(before).map(({ request }) => JSON.stringify(request));
    expect(options.map((one) => one.includes("enable_exit_snapshot"))).toEqual([true, false, false, true]);
    await modal().kill(first.id);
    await modal().kill(withGpuToo.id);
    expect(await ofLost(made, first.id)).toBeNull();
    expect(await ofLost(made, withGpuToo.id)).not.toBeNull();
  });

  modalTest("a request refused for another reason fails with that reason, and nothing is remembered", async () => {
    const made = provider();
    await modal().faults.add({ method: "SandboxCreateV2", code: INVALID, message: "no such region" });
    expect(await failsWith(made.create(keeping()))).toMatchObject({
      message: expect.stringContaining("no such region"),
    });
    const sandbox = await made.create(keeping());
    expect(sandbox.notes).toEqual([]);
    await modal().kill(sandbox.id);
    expect(await ofLost(made, sandbox.id)).not.toBeNull();
  });
});
