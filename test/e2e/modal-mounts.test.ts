import { afterAll, beforeAll, expect } from "bun:test";
import { type ModalSetup, startModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { ask, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup(
    {
      parkAfterSeconds: 60,
      environments: {
        default: {
          volumes: { "/data": { name: "corpus", readOnly: true }, "/runs": { name: "runs", create: true } },
          buckets: { "/mnt/x": { bucket: "raw" } },
          ports: [8080],
          network: { domains: ["pypi.org"] },
        },
      },
    },
    { server: { volumes: { corpus: 1 } } },
  );
});

afterAll(async () => {
  await setup?.stop();
});

sandboxTest(
  "a job works with its mounts, its agent and the user are told of them, of the network and of the public port, and a busy volume is explained",
  async () => {
    const { server, modal, model } = setup;
    const session = await server.createSession();
    const work = shell("echo 1 > /runs/kept; touch /data/x /mnt/x/y || echo refused");
    await turn(server, session.id, start(task("mounts", work, say("first"))), wait());
    const { output, metadata } = await ask(server, session.id, status());
    const [job] = metadata.jobs;
    if (!job) throw new Error("there is no job");
    expect(job).toMatchObject({ state: "completed", sandbox: "live", ports: [{ port: 8080 }] });
    expect(await outputsOf(server, job, "sandbox_exec")).toEqual([expect.stringContaining("refused")]);

    const system = model.requests.find(({ tools }) => tools.includes("job_report"))?.system ?? "";
    const url = (job.ports as unknown as { url: string }[])[0]?.url ?? "none";
    for (const told of [
      'At /data: Modal volume "corpus" (v1), read-only.',
      'At /runs: Modal volume "runs" (v2), shared, in no snapshot. `sync /runs` commits',
      'At /mnt/x: bucket "raw", read-only.',
      "reaches only pypi.org (TLS on port 443 only",
    ]) {
      expect(system).toContain(told);
      expect(job.notes.join("\n")).toContain(told);
    }
    expect(system).toContain(`Port 8080 is public: anyone on the internet reaches what listens on it at ${url}`);
    expect(output).toContain(`port 8080 public at ${url}`);
    expect(output).toMatch(/Anyone on the internet reaches a public port.*agents_cancel closes it now/);

    await modal.faults.add({ method: "TaskReloadVolumes", code: 9, message: "volume busy" });
    const [, waited] = await turn(server, session.id, message(job.id, script(say("second"))), wait());
    expect(waited?.metadata.finished).toMatchObject([{ state: "completed", result: "second" }]);
    expect(await modal.faults.left()).toEqual([]);
    const prompt = model.requests.findLast(({ tools }) => tools.includes("job_report"))?.lastUser;
    expect(prompt).toMatch(/^What others have committed to your volumes \(\/data, \/runs\).*volume busy/);
  },
);
