import { afterEach, describe, expect, test } from "bun:test";
import type { GpuRequest } from "../../src/config/gpu.ts";
import { NO_WISHES } from "../../src/sandboxes/modal/create-params.ts";
import type { ModalLimits } from "../../src/sandboxes/modal/limits.ts";
import type { ModalProviderDeps } from "../../src/sandboxes/modal/modal-provider.ts";
import type { Sandbox, SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import type { Fault } from "../support/modal-server/faults.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

/*
 * Everything that can go wrong with a call, at every step: the right code or it goes on, nothing hangs, no sandbox left.
 */

const modal = useModalServer();
const LIMITS: Partial<ModalLimits> = {
  callMs: 1200, createMs: 2000, startMs: 1200, execMs: 1200, fileMs: 1200, exitMs: 800, graceMs: 100, snapshotMs: 1000, pollMs: 300, terminateMs: 1000,
}; // biome-ignore format: a table

const CANCELLED = 1, INVALID = 3, NOT_FOUND = 5, EXHAUSTED = 8, PRECONDITION = 9, INTERNAL = 13, UNAVAILABLE = 14, UNAUTHENTICATED = 16; // biome-ignore format: codes
const ALWAYS = 100_000;

const open: SandboxProvider[] = [];
let count = 0;

function provider(more: Partial<ModalProviderDeps> = {}): SandboxProvider {
  const made = modalProvider({ limits: LIMITS, ...more });
  open.push(made);
  return made;
}

const specOf = (more: Partial<SandboxSpec> = {}): SandboxSpec => ({
  name: `fault-${count++}`, tags: { suite: "faults" }, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open", ...more,
}); // biome-ignore format: a table

const withGpus = (...gpus: GpuRequest[]): Partial<SandboxSpec> => ({ machine: { ...NO_WISHES, gpus } });
const gpu = (type: string, much = 1): GpuRequest => ({ type, count: much, exact: false });
const live = () => modal().sandboxes({ live: true });
const failsWith = async (
  work: Promise<unknown>,
): Promise<{ code: string; retryable: boolean | null; message: string }> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error as never;
};

async function untilNoneLeft(): Promise<void> {
  for (let attempt = 0; attempt < 200 && (await live()).length > 0; attempt += 1)
    await new Promise((resolve) => setTimeout(resolve, 25));
  expect(await live()).toEqual([]);
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error("it never held");
}

afterEach(async () => {
  await modal().faults.clear();
  for (const { id } of await live()) await provider().terminate(id);
  for (const each of open.splice(0)) await each.close();
}, 240_000);

const check = (title: string, body: () => Promise<void>) => test(title, body, 25_000);

describe("when creation meets a fault, it goes on", () => {
  const table: [string, Fault][] = [
    ["the token service is away twice", { method: "AuthTokenGet", code: UNAVAILABLE, times: 2 }],
    ["the app is not found at once", { method: "AppGetOrCreate", code: UNAVAILABLE, times: 2 }],
    ["the image server stumbles", { method: "ImageGetOrCreate", code: INTERNAL, times: 2 }],
    ["the creation is refused twice in passing", { method: "SandboxCreateV2", code: UNAVAILABLE, times: 2 }],
    ["the reply to the creation is lost", { method: "SandboxCreateV2", code: UNAVAILABLE, when: "after", times: 1 }],
    ["the server asks to come back in a moment", { method: "SandboxCreateV2", retryAfterSecs: 0.2, times: 3 }],
    ["the router is away for a moment", { method: "TaskExecStart", code: UNAVAILABLE, times: 3 }],
    ["the first command's output is cut", { method: "TaskExecStdioRead", code: UNAVAILABLE, times: 2 }],
    ["the first command's end is not told at once", { method: "TaskExecWait", delayMs: 300, times: 1 }],
  ];
  for (const [title, fault] of table) {
    check(title, async () => {
      await modal().faults.add(fault);
      const made = await provider().create(specOf());
      expect((await sh(made, "echo works")).stdout).toBe("works\n");
      expect((await live()).length).toBe(1);
      await made.terminate();
      await untilNoneLeft();
    });
  }
});

describe("when creation fails, it says so in its code and leaves nothing", () => {
  const table: [string, Fault, string, boolean | null, Partial<SandboxSpec>?][] = [
    ["wrong credentials", { method: "AuthTokenGet", code: UNAUTHENTICATED, times: ALWAYS }, "sandbox_create_failed", false],
    ["no network", { method: "AuthTokenGet", code: UNAVAILABLE, times: ALWAYS }, "sandbox_create_failed", true],
    ["a silent token service", { method: "AuthTokenGet", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["no such environment", { method: "AppGetOrCreate", code: NOT_FOUND, times: ALWAYS }, "sandbox_create_failed", false],
    ["a silent app service", { method: "AppGetOrCreate", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["an image that cannot be had", { method: "ImageGetOrCreate", code: UNAVAILABLE, times: ALWAYS }, "sandbox_create_failed", true],
    ["a creation that is refused", { method: "SandboxCreateV2", code: INVALID, times: ALWAYS }, "sandbox_create_failed", false],
    ["a workspace limit", { method: "SandboxCreateV2", code: EXHAUSTED, times: ALWAYS }, "no_capacity", true],
    ["an outage", { method: "SandboxCreateV2", code: UNAVAILABLE, times: ALWAYS }, "sandbox_create_failed", true],
    ["an unheard-of failure", { method: "SandboxCreateV2", code: 15, times: ALWAYS }, "sandbox_create_failed", null],
    ["a creation that never answers", { method: "SandboxCreateV2", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["a creation that answers too late", { method: "SandboxCreateV2", delayMs: 2600, when: "after", times: 1 }, "sandbox_create_timeout", true],
    ["a creation that begins too late", { method: "SandboxCreateV2", delayMs: 2600, times: 1 }, "sandbox_create_timeout", true],
    ["a creation whose replies are all lost", { method: "SandboxCreateV2", code: UNAVAILABLE, when: "after", times: ALWAYS }, "sandbox_create_failed", true],
    ["a throttle without end", { method: "SandboxCreateV2", retryAfterSecs: 0.5, times: ALWAYS }, "sandbox_create_timeout", true],
    ["a first command that is not started", { method: "TaskExecStart", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["a first command that never ends", { method: "TaskExecWait", hang: true, times: ALWAYS }, "sandbox_create_timeout", true],
    ["a router that refuses", { method: "TaskExecStart", code: PRECONDITION, times: ALWAYS }, "sandbox_create_failed", false],
    ["a GPU creation that never answers", { method: "SandboxCreate", hang: true, times: ALWAYS }, "no_capacity", true, withGpus(gpu("T4"))],
    ["a type of GPU Modal does not know", { method: "SandboxCreate", code: INVALID, times: ALWAYS }, "sandbox_create_failed", false, withGpus(gpu("B300"))],
  ]; // biome-ignore format: a table
  for (const [title, fault, code, retryable, spec] of table) {
    check(title, async () => {
      await modal().faults.add(fault);
      // Its attempts at a token nest: an outage takes the SDK some seconds to admit.
      const made = provider(title === "no network" ? { limits: { ...LIMITS, callMs: 15_000 } } : {});
      expect(await failsWith(made.create(specOf(spec)))).toMatchObject({ name: "LabError", code, retryable });
      await made.close();
      await modal().faults.clear();
      await untilNoneLeft();
    });
  }

  check("real wrong credentials name where they came from", async () => {
    const failure = await failsWith(
      provider({
        credentials: { kind: "token", tokenId: "ak-x", tokenSecret: "as-x", source: "~/.modal.toml" },
      }).create(specOf()),
    );
    expect(failure).toMatchObject({ code: "sandbox_create_failed", retryable: false });
    expect(failure.message).toContain("~/.modal.toml");
  });

  check("a secret that does not exist is named, before anything is paid for", async () => {
    const failure = await failsWith(
      provider().create(specOf({ machine: { ...NO_WISHES, secrets: ["no-such-secret"] } })),
    );
    expect(failure.message).toContain("no-such-secret");
    expect((await modal().calls()).filter(({ method }) => method === "SandboxCreateV2").length).toBeGreaterThan(0);
    await untilNoneLeft();
  });

  check("a creation given up on while the server thinks leaves nothing", async () => {
    await modal().faults.add({ method: "SandboxCreateV2", delayMs: 500, times: 1 });
    const stop = new AbortController();
    const made = provider();
    const creating = made.create(specOf(), stop.signal);
    setTimeout(() => stop.abort(), 200);
    expect(await failsWith(creating)).toMatchObject({ code: "cancelled" });
    await new Promise((resolve) => setTimeout(resolve, 600));
    await untilNoneLeft();
  });

  check("a stray of the same name and tags, left by a crash, makes way; another's does not", async () => {
    const spec = specOf();
    await provider().create(spec);
    const made = await provider().create(spec);
    expect((await live()).map(({ id }) => id)).toEqual([made.id]);
    expect(await failsWith(provider().create({ ...spec, tags: { suite: "faults", job: "another" } }))).toMatchObject({
      code: "sandbox_create_failed",
    });
    expect((await live()).map(({ id }) => id)).toEqual([made.id]);
  });
});

describe("GPUs", () => {
  check("the next of the preferences is taken when the first has no capacity, and is told", async () => {
    await modal().setGpus("H100", 0);
    const made = await provider().create(specOf(withGpus(gpu("H100", 8), gpu("H200", 8))));
    expect(made.gpu?.granted).toEqual(gpu("H200", 8));
    expect(await live()).toMatchObject([{ gpu: "H200:8", generation: "v1" }]);
    await modal().setGpus("H100", null);
    await made.terminate();
    await untilNoneLeft();
  });

  check("none of them to be had is no_capacity, and nothing is left in the queue", async () => {
    await modal().setGpus("H100", 0);
    await modal().setGpus("H200", 0);
    expect(await failsWith(provider().create(specOf(withGpus(gpu("H100"), gpu("H200")))))).toMatchObject({
      code: "no_capacity",
      retryable: true,
    });
    await modal().setGpus("H100", null);
    await modal().setGpus("H200", null);
    await untilNoneLeft();
  });
});

describe("when a command meets a fault", () => {
  let sandbox: Sandbox;
  const begin = async (...faults: Fault[]) => {
    sandbox = await provider().create(specOf());
    await modal().faults.add(...faults);
  };

  check("a start that stumbles goes on", async () => {
    await begin({ method: "TaskExecStart", code: UNAVAILABLE, times: 2 });
    expect(await sh(sandbox, "echo a; exit 3")).toEqual({ exit: exited(3), stdout: "a\n", stderr: "" });
  });

  for (const [title, fault] of [
    ["is never answered", { method: "TaskExecStart", hang: true, times: ALWAYS }],
    ["meets an outage", { method: "TaskExecStart", code: UNAVAILABLE, times: ALWAYS }],
    ["whose output is never sent", { method: "TaskExecStdioRead", hang: true, times: ALWAYS }],
  ] as const) {
    check(`a start that ${title} says that the sandbox is out of reach`, async () => {
      await begin(fault);
      expect(await failsWith(sandbox.start({ argv: ["true"] }))).toMatchObject({
        code: "sandbox_lost",
        retryable: true,
      });
    });
  }

  check("output that breaks off again and again arrives whole and in order", async () => {
    await begin({ method: "TaskExecStdioRead", code: UNAVAILABLE, afterItems: 1, times: 6 });
    const { stdout, exit } = await sh(sandbox, "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.02; done; exit 2");
    expect(stdout).toBe([1, 2, 3, 4, 5, 6, 7, 8].map((at) => `line ${at}\n`).join(""));
    expect(exit).toEqual(exited(2));
  });

  check("an exit code that is never answered is known from the output", async () => {
    await begin(
      { method: "TaskExecWait", hang: true, times: ALWAYS },
      { method: "TaskExecPoll", hang: true, times: ALWAYS },
    );
    expect((await sh(sandbox, "exit 5")).exit).toEqual(exited(5));
  });

  check("a sandbox that dies in mid-command makes its end unknown, not 0 and not 137", async () => {
    await begin();
    const child = await sandbox.start({ argv: ["sh", "-c", "echo before; sleep 100"] });
    const reader = child.output[Symbol.asyncIterator]();
    expect(Buffer.from((await reader.next()).value?.bytes ?? []).toString()).toBe("before\n");
    await modal().kill(sandbox.id);
    for (let next = await reader.next(); !next.done; next = await reader.next());
    expect((await child.exit).kind).toBe("unknown");
    expect(await sandbox.ended).toMatchObject({ code: "sandbox_lost" });
    expect(await failsWith(sandbox.start({ argv: ["true"] }))).toMatchObject({
      code: "sandbox_lost",
      retryable: false,
    });
  });

  check("a router that is gone in mid-command makes its end unknown, after the SDK's patience", async () => {
    await begin();
    const child = await sandbox.start({ argv: ["sh", "-c", "echo before; sleep 100"] });
    await modal().stopRouter();
    for await (const _ of child.output);
    expect((await child.exit).kind).toBe("unknown");
    await modal().startRouter();
    // gRPC waits longer and longer between its attempts to connect.
    await eventually(async () => (await sh(sandbox, "echo again")).stdout === "again\n");
  });

  check("a signal that cannot be delivered says so, and one to a dead sandbox does not", async () => {
    await begin();
    const child = await sandbox.start({ argv: ["sleep", "100"] });
    await modal().faults.add({ method: "TaskExecStart", hang: true, times: 1 });
    expect(await failsWith(child.signal("SIGTERM"))).toMatchObject({ code: "sandbox_lost", retryable: true });
    await modal().kill(sandbox.id);
    await child.signal("SIGKILL");
    expect((await child.exit).kind).toBe("unknown");
  });

  check("SIGKILL ends the wait for a command nobody reads", async () => {
    await begin();
    const child = await sandbox.start({ argv: ["sh", "-c", "yes | head -c 50000000; sleep 100"] });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await child.signal("SIGKILL");
    expect(await child.exit).toEqual({ kind: "signalled", signal: "SIGKILL" });
  });

  check("a token that is revoked long before its time is replaced: commands, files and snapshots go on", async () => {
    await begin();
    await modal().revokeRouterTokens();
    expect((await sh(sandbox, "echo a")).stdout).toBe("a\n");
    await modal().revokeRouterTokens();
    await sandbox.writeFile("b", Buffer.from("b"));
    await modal().revokeRouterTokens();
    expect(Buffer.from(await sandbox.readFile("b", { offset: 0, maxBytes: 9 })).toString()).toBe("b");
    await modal().revokeRouterTokens();
    expect((await open.at(-1)?.snapshots?.take(sandbox, null))?.id).toMatch(/^im-/);
    // Of several at once each gets the new one.
    await modal().revokeRouterTokens();
    const all = await Promise.all(["1", "2", "3"].map((word) => sh(sandbox, `echo ${word}`)));
    expect(all.map(({ stdout }) => stdout)).toEqual(["1\n", "2\n", "3\n"]);
  });

  check("a command too long for a command line travels as a file", async () => {
    await begin();
    for (const length of [50_000, 70_000, 110_000, 400_000]) {
      expect((await sh(sandbox, `: ${"x".repeat(length)}; printf "%s" "$0 $#"; exit 3`)).exit).toEqual(exited(3));
    }
    const words = Array.from({ length: 40_000 }, (_, at) => `w'${at}`);
    const child = await sandbox.start({ argv: ["sh", "-c", 'printf "%s" "$#"', "x", ...words] });
    let text = "";
    for await (const chunk of child.output) text += Buffer.from(chunk.bytes).toString();
    expect(text).toBe("40000");
    expect(await failsWith(sandbox.start({ argv: ["echo", "x".repeat(200_000)] }))).toMatchObject({
      code: "file_failed",
    });
  });
});

describe("when a file meets a fault", () => {
  let sandbox: Sandbox;
  const range = { offset: 0, maxBytes: 100 };
  const begin = async (...faults: Fault[]) => {
    sandbox = await provider().create(specOf());
    await sandbox.writeFile("there", Buffer.from("there"));
    await modal().faults.add(...faults);
  };

  check("an upload that breaks off goes on where it was", async () => {
    await begin({ method: "TaskExecStdinWriteStream", code: UNAVAILABLE, times: 2 });
    const bytes = new Uint8Array(3_000_000).map((_, at) => (at * 7) % 256);
    await sandbox.writeFile("big", bytes);
    expect(Buffer.compare(await sandbox.readFile("big", { offset: 0, maxBytes: 4_000_000 }), bytes)).toBe(0);
  });

  for (const [title, fault] of [
    ["start", { method: "TaskExecStart", hang: true, times: ALWAYS }],
    ["end", { method: "TaskExecWait", hang: true, times: ALWAYS }],
    ["upload", { method: "TaskExecStdinWriteStream", hang: true, times: ALWAYS }],
  ] as const) {
    check(`a ${title} that is never answered says that the sandbox is out of reach`, async () => {
      await begin(fault);
      expect(await failsWith(sandbox.writeFile("x", Buffer.from("x")))).toMatchObject({
        code: "sandbox_lost",
        retryable: true,
      });
      if (title !== "upload")
        expect(await failsWith(sandbox.readFile("there", range))).toMatchObject({
          code: "sandbox_lost",
          retryable: true,
        });
    });
  }

  check("an outage is no missing file", async () => {
    await begin({ method: "TaskExecStart", code: CANCELLED, times: ALWAYS });
    expect(await failsWith(sandbox.readFile("there", range))).toMatchObject({ code: "sandbox_lost", retryable: true });
    expect(await failsWith(sandbox.writeFile("there", Buffer.from("x")))).toMatchObject({
      code: "sandbox_lost",
      retryable: true,
    });
  });

  check("a dead sandbox is told from both", async () => {
    await begin();
    await modal().kill(sandbox.id);
    expect(await failsWith(sandbox.readFile("there", range))).toMatchObject({ code: "sandbox_lost", retryable: false });
    expect(await failsWith(sandbox.writeFile("there", Buffer.from("x")))).toMatchObject({
      code: "sandbox_lost",
      retryable: false,
    });
  });
});

describe("when a snapshot meets a fault", () => {
  let made: SandboxProvider;
  let sandbox: Sandbox;
  const begin = async (...faults: Fault[]) => {
    made = provider();
    sandbox = await made.create(specOf());
    await modal().faults.add(...faults);
  };
  const take = async (path: string | null = null) =>
    made.snapshots?.take(sandbox, path) ?? Promise.reject(new Error("no snapshots"));

  check("a stumble is retried", async () => {
    await begin({ method: "TaskSnapshotFilesystem", code: UNAVAILABLE, times: 2 });
    expect((await take()).id).toMatch(/^im-/);
  });

  for (const [title, fault, retryable] of [
    ["one that fails", { method: "TaskSnapshotFilesystem", code: INVALID, times: ALWAYS }, false],
    ["one that takes too long", { method: "TaskSnapshotFilesystem", delayMs: 3000, times: 1 }, true],
    ["one that is never answered", { method: "TaskSnapshotFilesystem", hang: true, times: ALWAYS }, true],
  ] as const) {
    check(`${title} is snapshot_failed, and the sandbox goes on`, async () => {
      await begin(fault);
      expect(await failsWith(take())).toMatchObject({ code: "snapshot_failed", retryable });
      await modal().faults.clear();
      expect((await sh(sandbox, "echo alive")).stdout).toBe("alive\n");
    });
  }

  check("a dead sandbox has none", async () => {
    await begin();
    await modal().kill(sandbox.id);
    expect(await failsWith(take())).toMatchObject({ code: "sandbox_lost" });
  });

  check("one that has expired, or was never Modal's, is told so before anything is paid for", async () => {
    await begin();
    const { id } = await take();
    await modal().expireImage(id);
    const before = (await modal().sandboxes()).length;
    expect(await failsWith(made.create(specOf({ snapshotID: id })))).toMatchObject({
      code: "snapshot_expired",
      retryable: false,
    });
    expect(await failsWith(made.create(specOf({ snapshotID: "snap_local" })))).toMatchObject({ code: "not_found" });
    expect((await modal().sandboxes()).length).toBe(before);
  });

  check("a directory that cannot be put back leaves no sandbox", async () => {
    await begin();
    await sh(sandbox, "mkdir data; echo 1 > data/a");
    const { id } = await take("data");
    await modal().faults.add({ method: "TaskMountDirectory", code: INVALID, times: ALWAYS });
    const failure = await failsWith(made.create(specOf({ snapshotID: id })));
    expect(failure).toMatchObject({ code: "sandbox_create_failed" });
    await sandbox.terminate();
    await untilNoneLeft();
  });

  check("removing goes on, or says so; what is gone is gone", async () => {
    await begin({ method: "ImageDelete", code: UNAVAILABLE, times: 2 });
    const { id } = await take();
    await made.snapshots?.remove(id);
    await made.snapshots?.remove(id);
    await modal().faults.add({ method: "ImageDelete", hang: true, times: 1 });
    expect(await failsWith(made.snapshots?.remove("im-x") ?? Promise.resolve())).toMatchObject({
      code: "snapshot_failed",
      retryable: true,
    });
  });
});

describe("when ending or finding a sandbox meets a fault", () => {
  check("an end that stumbles is had all the same", async () => {
    const sandbox = await provider().create(specOf());
    await modal().faults.add({ method: "SandboxTerminateV2", code: UNAVAILABLE, times: 6 });
    await sandbox.terminate();
    expect(await sandbox.ended).toBeNull();
    await untilNoneLeft();
  });

  check("an end that cannot be had is an error, not a silence", async () => {
    const sandbox = await provider().create(specOf());
    await modal().faults.add({ method: "SandboxTerminateV2", code: UNAUTHENTICATED, times: ALWAYS });
    expect(await failsWith(sandbox.terminate())).toMatchObject({ code: "sandbox_lost" });
    await modal().faults.clear();
    await sandbox.terminate();
    await untilNoneLeft();
  });

  check("gone is told from out of reach", async () => {
    const first = provider();
    const sandbox = await first.create(specOf());
    await first.close();
    const second = provider();
    await modal().faults.add({ method: "SandboxWaitV2", hang: true, times: 1 });
    expect(await failsWith(second.attach(sandbox.id, {}))).toMatchObject({ code: "sandbox_lost", retryable: true });
    await modal().faults.clear();
    await modal().faults.add({ method: "SandboxWaitV2", code: UNAVAILABLE, times: 4 });
    expect(await failsWith(second.attach(sandbox.id, {}))).toMatchObject({ code: "sandbox_lost", retryable: true });
    await modal().faults.clear();
    expect((await second.attach(sandbox.id, {})).workdir).toBe("/workspace");
    await modal().kill(sandbox.id);
    const third = provider();
    expect(await failsWith(third.attach(sandbox.id, {}))).toMatchObject({ code: "sandbox_lost", retryable: false });
  });

  check("a listing holds both kinds with tags and times, or fails", async () => {
    const made = provider();
    await made.create(specOf({ tags: { job: "a" } }));
    await made.create(specOf({ tags: { job: "b" }, ...withGpus(gpu("T4")) }));
    const listed = await made.list();
    expect(listed.map(({ tags }) => tags.job).sort()).toEqual(["a", "b"]);
    for (const { createdAt } of listed) expect(Math.abs((createdAt ?? 0) - Date.now())).toBeLessThan(60_000);
    await modal().faults.add({ method: "SandboxListV2", hang: true, times: 1 });
    expect(await failsWith(made.list())).toMatchObject({ retryable: true });
  });
});
