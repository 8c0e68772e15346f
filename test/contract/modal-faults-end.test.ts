import { describe, expect } from "bun:test";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import {
  ALWAYS,
  failsWith,
  gpu,
  modal,
  provider,
  specOf,
  UNAUTHENTICATED,
  UNAVAILABLE,
  untilNoneLeft,
  withGpu,
} from "./modal-faults-support.ts";

describe("faults while ending or finding a sandbox:", () => {
  modalTest("ending a sandbox is retried after a passing fault", async () => {
    const sandbox = await provider().create(specOf());
    await modal().faults.add({ method: "SandboxTerminateV2", code: UNAVAILABLE, times: 6 });
    await sandbox.terminate();
    expect(await sandbox.ended).toBeNull();
    await untilNoneLeft();
  });

  modalTest("a sandbox that cannot be ended is an error, not silence", async () => {
    const sandbox = await provider().create(specOf());
    await modal().faults.add({ method: "SandboxTerminateV2", code: UNAUTHENTICATED, times: ALWAYS });
    expect(await failsWith(sandbox.terminate())).toMatchObject({ code: "sandbox_lost" });
    await modal().faults.clear();
    await sandbox.terminate();
    await untilNoneLeft();
  });

  modalTest("a sandbox that has ended is distinguished from one that is unreachable", async () => {
    const first = provider();
    const sandbox = await first.create(specOf());
    await first.close();
    const second = provider();
    const hurried = provider({ limits: { callMs: 1200 } });
    await modal().faults.add({ method: "SandboxWaitV2", hang: true, times: 1 });
    expect(await failsWith(hurried.attach(sandbox.id, {}))).toMatchObject({ code: "sandbox_lost", retryable: true });
    await modal().faults.clear();
    await modal().faults.add({ method: "SandboxWaitV2", code: UNAVAILABLE, times: 4 });
    expect(await failsWith(second.attach(sandbox.id, {}))).toMatchObject({ code: "sandbox_lost", retryable: true });
    await modal().faults.clear();
    expect((await second.attach(sandbox.id, {})).workdir).toBe("/workspace");
    await modal().kill(sandbox.id);
    const third = provider();
    expect(await failsWith(third.attach(sandbox.id, {}))).toMatchObject({ code: "sandbox_lost", retryable: false });
  });

  modalTest("a listing contains the sandboxes of both backends with tags and times, or fails", async () => {
    const made = provider();
    await made.create(specOf({ tags: { job: "a" } }));
    await made.create(specOf({ tags: { job: "b" }, ...withGpu(gpu("T4")) }));
    const listed = await made.list();
    expect(listed.map(({ tags }) => tags.job).sort()).toEqual(["a", "b"]);
    for (const { createdAt } of listed) expect(Math.abs((createdAt ?? 0) - Date.now())).toBeLessThan(60_000);
    await modal().faults.add({ method: "SandboxListV2", hang: true, times: 1 });
    expect(await failsWith(provider({ limits: { callMs: 1200 } }).list())).toMatchObject({ retryable: true });
  });

  modalTest("a job that stops every process in its sandbox blocks no start, read, snapshot or end", async () => {
    const made = provider();
    const sandbox = await made.create(specOf());
    const hurried = await provider({ limits: { startMs: 1200, execMs: 1200, fileMs: 1200 } }).attach(sandbox.id, {});
    await sandbox.writeFile("work", Buffer.from("so far"));
    const command = await sandbox.start({ argv: ["sh", "-c", "echo begun; exec sleep 1009"] });
    const stop =
      "for p in /proc/[0-9]*; do case ${p#/proc/} in 1|$$) ;; *) kill -STOP ${p#/proc/} 2>/dev/null ;; esac; done";
    const hostile = await sandbox.start({ argv: ["sh", "-c", `echo begun; while :; do ${stop}; done`] });
    for (const each of [command, hostile]) for await (const _ of each.output) break;
    const range = { offset: 0, maxBytes: 9 };
    // A process may be through before it is stopped, so both are asked until one is caught. Either may be the first.
    const ask = () => [hurried.start({ argv: ["true"] }), hurried.readFile("work", range)].map(failsWith);
    const failures = await until(
      async () => {
        const caught = (await Promise.all(ask())).filter((failure) => failure !== null);
        return caught.length > 0 ? caught : null;
      },
      { what: "a start or a reading is caught" },
    );
    for (const failure of failures) expect(failure).toMatchObject({ code: "sandbox_lost", retryable: true });
    const { id: snapshotID } = (await made.snapshots?.take(sandbox, null)) ?? { id: "" };
    await sandbox.terminate();
    expect((await command.exit).kind).toBe("unknown");
    const reader = await made.create(specOf({ snapshotID }));
    expect(Buffer.from(await reader.readFile("work", range)).toString()).toBe("so far");
    await reader.terminate();
    await untilNoneLeft();
  });
});
