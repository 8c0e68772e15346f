import { afterEach, expect } from "bun:test";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";
import { modalTest } from "../support/modal-test.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";

/* Modal takes up to 20 seconds to end a sandbox, which counts as live and holds its name until then. */

const END_MS = 8_000;
const modal = useModalServer({ terminateSecs: [END_MS / 1000, END_MS / 1000] });
const open: SandboxProvider[] = [];
const provider = () => {
  const made = modalProvider();
  open.push(made);
  return made;
};
const spec = (name: string, more: object = {}) => ({
  name, tags: { job: name }, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open" as const, ...more,
}); // biome-ignore format: one line
const live = () => modal().sandboxes({ live: true });

afterEach(async () => {
  await modal().faults.clear();
  for (const each of open.splice(0)) await each.close();
});

modalTest(
  "nobody waits for the end of a sandbox; the same job gets the next one at once, under a new name",
  async () => {
    const made = provider();
    const first = await made.create(spec("job_a"));
    const began = performance.now();
    let endedMs = 0;
    void first.ended.then(() => {
      endedMs = performance.now() - began;
    });
    await first.terminate();
    expect((await live()).length).toBe(1);
    await expect(first.start({ argv: ["true"] })).rejects.toMatchObject({ code: "sandbox_lost" });
    await expect(made.attach(first.id, {})).rejects.toMatchObject({ code: "sandbox_lost", retryable: false });
    const second = await made.create(spec("job_a"));
    expect(endedMs).toBe(0); // it counts until it has really ended
    expect(await first.ended).toBeNull();
    expect(endedMs).toBeGreaterThanOrEqual(END_MS - 500);
    expect((await live()).map(({ id }) => id)).toEqual([second.id]);
    const [one] = await live();
    expect(one?.name).toMatch(/^job_a-/);
    expect((await made.list()).map(({ tags }) => tags)).toEqual([{ job: "job_a" }]);
    await second.terminate();
  },
);

modalTest("another process gets a sandbox for the job while the former one is ending", async () => {
  await provider()
    .create(spec("job_b"))
    .then((sandbox) => sandbox.terminate());
  const next = await provider().create(spec("job_b"));
  expect((await live()).find(({ id }) => id === next.id)?.name).toMatch(/^job_b-/);
  await next.terminate();
});

modalTest("a command that runs in a sandbox being ended ends at once, with an unknown status", async () => {
  const sandbox = await provider().create(spec("job_c"));
  const command = await sandbox.start({ argv: ["sh", "-c", "echo begun; exec sleep 1009"] });
  for await (const _ of command.output) break;
  await sandbox.terminate();
  expect((await command.exit).kind).toBe("unknown");
  expect((await live()).map(({ id }) => id)).toContain(sandbox.id);
});

modalTest("the search for a sandbox whose creation had no answer uses the name of that creation", async () => {
  const made = provider();
  await (await made.create(spec("job_d"))).terminate();
  await modal().faults.add({ method: "SandboxCreateV2", code: 14, when: "after", times: 100 });
  await expect(made.create(spec("job_d"))).rejects.toMatchObject({ code: "sandbox_create_failed", retryable: true });
  await modal().faults.clear();
  await made.close(); // what it does later is done then
  const asked = (await modal().calls())
    .filter(({ method }) => method === "SandboxGetFromNameV2")
    .map(({ request }) => request);
  expect(JSON.stringify(asked)).toMatch(/job_d-/);
  for (let left = await live(); left.length > 0; left = await live())
    await new Promise((done) => setTimeout(done, 100));
});

modalTest("closing a provider does not wait for the end of what it terminated", async () => {
  const made = provider();
  const sandbox = await made.create(spec("job_e"));
  await sandbox.terminate();
  await made.close();
  expect((await live()).map(({ id }) => id)).toContain(sandbox.id);
});
