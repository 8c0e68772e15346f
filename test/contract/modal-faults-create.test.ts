import { describe, expect } from "bun:test";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { ModalLimits } from "../../src/sandboxes/modal/limits.ts";
import type { ListedSandbox, SandboxSpec } from "../../src/sandboxes/port.ts";
import { modalClient } from "../support/modal-server/client.ts";
import type { Fault } from "../support/modal-server/faults.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import {
  ALWAYS,
  EXHAUSTED,
  failsWith,
  gpu,
  INTERNAL,
  INVALID,
  live,
  modal,
  NOT_FOUND,
  PRECONDITION,
  provider,
  specOf,
  UNAUTHENTICATED,
  UNAVAILABLE,
  untilNoneLeft,
  withGpu,
} from "./modal-faults-support.ts";
import { sh } from "./sandbox-shell.ts";

describe("creation survives a passing fault:", () => {
  const table: [string, Fault][] = [
    ["the token service is unavailable twice", { method: "AuthTokenGet", code: UNAVAILABLE, times: 2 }],
    ["the app service is unavailable twice", { method: "AppGetOrCreate", code: UNAVAILABLE, times: 2 }],
    ["the image service fails twice", { method: "ImageGetOrCreate", code: INTERNAL, times: 2 }],
    ["the creation is unavailable twice", { method: "SandboxCreateV2", code: UNAVAILABLE, times: 2 }],
    ["the reply to the creation is lost", { method: "SandboxCreateV2", code: UNAVAILABLE, when: "after", times: 1 }],
    ["the server asks to retry a little later", { method: "SandboxCreateV2", retryAfterSecs: 0.2, times: 3 }],
    ["the router is unavailable for a moment", { method: "TaskExecStart", code: UNAVAILABLE, times: 3 }],
    ["the first command's output stream breaks", { method: "TaskExecStdioRead", code: UNAVAILABLE, times: 2 }],
    ["the first command's exit arrives late", { method: "TaskExecWait", delayMs: 300, times: 1 }],
  ];
  for (const [title, fault] of table) {
    modalTest(title, async () => {
      await modal().faults.add(fault);
      const made = await provider().create(specOf());
      expect((await sh(made, "echo works")).stdout).toBe("works\n");
      expect((await live()).length).toBe(1);
      await made.terminate();
      await untilNoneLeft();
    });
  }
});

/** The limit that a fault of this method meets. What ends the sandbox that is left has another, or there is none. */
function limitsOf(code: string, method: string): Partial<ModalLimits> {
  if (code === "no_capacity") return { gpuWaitMs: 1500 };
  if (code !== "sandbox_create_timeout") return {};
  return /^(AuthTokenGet|AppGetOrCreate)$/.test(method) ? { callMs: 1200 } : { createMs: 2000 };
}

describe("a failed creation has the right code and leaves nothing:", () => {
  const table: [string, Fault, string, boolean | null, Partial<SandboxSpec>?][] = [
    ["wrong credentials", { method: "AuthTokenGet", code: UNAUTHENTICATED, times: ALWAYS }, "sandbox_create_failed", false],
    ["no network", { method: "AuthTokenGet", code: UNAVAILABLE, times: ALWAYS }, "sandbox_create_failed", true],
    ["a silent token service", { method: "AuthTokenGet", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["no such environment", { method: "AppGetOrCreate", code: NOT_FOUND, times: ALWAYS }, "sandbox_create_failed", false],
    ["a silent app service", { method: "AppGetOrCreate", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["an image service that is down", { method: "ImageGetOrCreate", code: UNAVAILABLE, times: ALWAYS }, "sandbox_create_failed", true],
    ["a creation that is refused", { method: "SandboxCreateV2", code: INVALID, times: ALWAYS }, "sandbox_create_failed", false],
    ["a workspace limit", { method: "SandboxCreateV2", code: EXHAUSTED, times: ALWAYS }, "no_capacity", true],
    ["an outage", { method: "SandboxCreateV2", code: UNAVAILABLE, times: ALWAYS }, "sandbox_create_failed", true],
    ["an unknown failure", { method: "SandboxCreateV2", code: 15, times: ALWAYS }, "sandbox_create_failed", null],
    ["a creation that never answers", { method: "SandboxCreateV2", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["a creation that answers too late", { method: "SandboxCreateV2", delayMs: 60_000, when: "after", times: 1 }, "sandbox_create_timeout", true],
    ["a creation that begins too late", { method: "SandboxCreateV2", delayMs: 60_000, times: 1 }, "sandbox_create_timeout", true],
    ["a creation whose replies are all lost", { method: "SandboxCreateV2", code: UNAVAILABLE, when: "after", times: ALWAYS }, "sandbox_create_failed", true],
    ["a first command that never starts", { method: "TaskExecStart", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["a first command that never ends", { method: "TaskExecStdioRead", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["a router that refuses commands", { method: "TaskExecStart", code: PRECONDITION, times: ALWAYS }, "sandbox_create_failed", null],
    ["a GPU creation that never answers", { method: "SandboxCreate", hang: true, times: ALWAYS }, "sandbox_create_timeout", true, withGpu(gpu("T4"))],
    ["a type of GPU Modal does not know", { method: "SandboxCreate", code: INVALID, times: ALWAYS }, "sandbox_create_failed", false, withGpu(gpu("B300"))],
  ]; // biome-ignore format: a table
  for (const [title, fault, code, retryable, spec] of table) {
    modalTest(title, async () => {
      await modal().faults.add(fault);
      const made = provider({ limits: limitsOf(code, fault.method) });
      expect(await failsWith(made.create(specOf(spec)))).toMatchObject({ name: "PluginError", code, retryable });
      await made.close();
      await modal().faults.clear();
      await untilNoneLeft();
    });
  }

  modalTest("an error about wrong credentials names their source", async () => {
    const failure = await failsWith(
      provider({
        credentials: { kind: "token", tokenId: "ak-x", tokenSecret: "as-x", source: "~/.modal.toml" },
      }).create(specOf()),
    );
    expect(failure).toMatchObject({ code: "sandbox_create_failed", retryable: false });
    expect(failure.message).toContain("~/.modal.toml");
  });

  modalTest("a volume that does not exist is named, and not made; one that does is mounted", async () => {
    const client = await modalClient(modal());
    const made = client.volumes;
    await made.fromName("data", { createIfMissing: true });
    const withVolumes = (volumes: Record<string, string>) => specOf({ machine: { ...DEFAULT_MACHINE, volumes } });
    for (const volumes of [{ "/data": "dat" }, { "/data": "data", "/x": "Data" }] as Record<string, string>[]) {
      const name = Object.values(volumes).at(-1);
      const failure = await failsWith(provider().create(withVolumes(volumes)));
      expect(failure).toMatchObject({ code: "sandbox_create_failed", retryable: false });
      expect(failure.message).toContain(`The Modal volume "${name}"`);
      expect(failure.message).toContain(`modal volume create ${name}`);
      expect(await made.fromName(name ?? "").catch(({ name: kind }) => kind)).toBe("NotFoundError");
    }
    expect(await live()).toEqual([]);
    const sandbox = await provider().create(withVolumes({ "/data": "data" }));
    await sandbox.writeFile("/data/kept", Buffer.from("1"));
    expect(Buffer.from(await sandbox.readFile("/data/kept", { offset: 0, maxBytes: 9 })).toString()).toBe("1");
    client.close();
  });

  modalTest("a missing secret is named, before anything is paid for", async () => {
    const failure = await failsWith(
      provider().create(specOf({ machine: { ...DEFAULT_MACHINE, secrets: ["no-such-secret"] } })),
    );
    expect(failure.message).toContain("no-such-secret");
    expect((await modal().calls()).filter(({ method }) => method === "SandboxCreateV2").length).toBeGreaterThan(0);
    await untilNoneLeft();
  });

  modalTest(
    "whoever wanted a sandbox that boots and lets no command run pays for it, when it has been ended",
    async () => {
      await modal().faults.add({ method: "TaskExecStart", code: PRECONDITION, times: ALWAYS });
      const left: ListedSandbox[] = [];
      const spec = {
        ...specOf({ moreTags: { usd_per_hour: "2" } }),
        onLeftEnded: (one: ListedSandbox) => left.push(one),
      };
      const made = provider();
      expect(await failsWith(made.create(spec))).toMatchObject({ code: "sandbox_create_failed" });
      await made.close();
      const tags = { ...spec.tags, usd_per_hour: "2" };
      expect(left).toMatchObject([{ tags, billedSince: expect.closeTo(Date.now(), -5) }]);
      await modal().faults.clear();
      await untilNoneLeft();
    },
  );

  modalTest("a creation that is cancelled while the server is working leaves nothing", async () => {
    await modal().faults.add({ method: "SandboxCreateV2", delayMs: 60_000, times: 1 });
    const creations = async () => (await modal().calls()).filter(({ method }) => method === "SandboxCreateV2");
    const before = (await creations()).length;
    const stop = new AbortController();
    const creating = provider().create(specOf(), stop.signal);
    await until(async () => (await creations()).length > before, { what: "the server has been asked" });
    stop.abort();
    expect(await failsWith(creating)).toMatchObject({ code: "cancelled" });
    await modal().faults.clear(); // the server goes on with its work
    await until(async () => (await creations()).at(-1)?.code !== null, { what: "the server has done its work" });
    await untilNoneLeft();
  });

  modalTest(
    "an orphan with the same name and tags is ended; a sandbox with other tags keeps its name, and the new one gets another",
    async () => {
      const left: ListedSandbox[] = [];
      const spec = {
        ...specOf({ moreTags: { usd_per_hour: "2" } }),
        onLeftEnded: (one: ListedSandbox) => left.push(one),
      };
      const orphan = await provider().create(spec);
      // What it costs may have another price by now.
      const made = await provider().create({ ...spec, moreTags: { usd_per_hour: "3" } });
      await until(async () => (await live()).length === 1, { what: "the orphan is ended" });
      const since = expect.closeTo(Date.now(), -5);
      expect(left).toMatchObject([{ id: orphan.id, tags: { usd_per_hour: "2" }, billedSince: since }]);
      const another = await provider().create({ ...spec, tags: { suite: "faults", job: "another" } });
      expect((await live()).map(({ id }) => id).sort()).toEqual([made.id, another.id].sort());
      expect(new Set((await live()).map(({ name }) => name)).size).toBe(2);
    },
  );
});

describe("GPUs", () => {
  modalTest(
    "a type without capacity is no_capacity, and the next type can be created under the same name at once",
    async () => {
      await modal().setGpus("H100", 0);
      const spec = specOf();
      const hurried = provider({ limits: { gpuWaitMs: 1500 } });
      const refused = await failsWith(hurried.create({ ...spec, ...withGpu(gpu("H100", 8)) }));
      expect(refused).toMatchObject({ code: "no_capacity", retryable: true });
      const made = await provider().create({ ...spec, ...withGpu(gpu("H200", 8)) });
      expect(made.gpu?.granted).toEqual(gpu("H200", 8));
      expect(await live()).toMatchObject([{ gpu: "H200:8", generation: "v1" }]);
      await modal().setGpus("H100", null);
      await made.terminate();
      await untilNoneLeft();
    },
  );

  modalTest("a creation that was refused for capacity leaves nothing in the queue", async () => {
    await modal().setGpus("H100", 0);
    await failsWith(provider({ limits: { gpuWaitMs: 1500 } }).create(specOf(withGpu(gpu("H100")))));
    expect(await live()).toEqual([]);
    await modal().setGpus("H100", null);
    await untilNoneLeft();
  });
});
