import { afterAll, beforeAll, expect } from "bun:test";
import { fileAt, holdersAt, type ModalSetup, noneLeft, openGatesAt, startModalSetup } from "../support/modal-setup.ts";
import { restart } from "../support/opencode.ts";
import { HOLD, sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { answerOf, ask, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { TURN_EVERY_MS, until } from "../support/wait.ts";

/** Commands of jobs on GPUs of their own, in the real OpenCode, on the stand-in for Modal. */

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup({ gpuLimits: { total: 2 }, parkAfterSeconds: 3600 });
});

afterAll(async () => {
  await setup?.stop();
});

const onGpu = (command: string, gpu: string, more: object = {}) => shell(command, { gpu, ...more });
const withGpu = async () => (await setup.modal.sandboxes({ live: true })).filter(({ gpu }) => gpu);

sandboxTest("a command has a GPU while the job's own sandbox lives on, and its files come back", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  const train = `nvidia-smi | head -n 1; echo step 1; head -c 200000 /dev/zero > out/model.pt; echo gpu > notes; chmod 755 notes; rm old; ${HOLD}`;
  const job = task(
    "trains",
    shell("mkdir out; echo '*.pt' > .gitignore; echo x > old; nohup sleep 900 >/dev/null 2>&1 & echo $! > pid"),
    onGpu(train, "H200|H100", { timeout_seconds: 600 }),
    shell("kill -0 $(cat pid) && echo alive; stat -c %s out/model.pt; ls old 2>/dev/null; cat notes notes.from-gpu; nvidia-smi 2>&1 | tail -n 1"),
    onGpu("wc -c < out/model.pt; cat notes", "H200"),
    onGpu("true", "H200", { background: true }),
    onGpu("true", "H100:8"),
    say("trained"),
  ); // biome-ignore format: commands
  const [started] = await turn(server, session.id, start(job));
  const id = started?.metadata.jobs[0]?.id as string;
  await until(async () => (await holdersAt(modal)).length === 1, { what: "the command is at its gate" });
  const [[gpu], [own]] = [await withGpu(), (await modal.sandboxes({ live: true })).filter((one) => !one.gpu)];
  expect([gpu?.gpu, own?.gpu ?? null]).toEqual(["H200:1", null]);
  const shown = (await ask(server, session.id, status())).metadata;
  expect(shown.jobs[0]).toMatchObject({ state: "running", gpu: "H200", devices: ["NVIDIA H200"] });
  expect((shown.pool.gpus as Record<string, object>).H200).toMatchObject({ used: 1 });
  await Bun.write(fileAt(own as never, "notes"), "mine\n"); // as a process of the job would meanwhile
  await openGatesAt(modal);
  const [waited] = await turn(server, session.id, wait());
  expect(waited?.metadata.finished[0]).toMatchObject({ id, state: "completed", result: "trained" });
  const [, first, looked, second, inBackground, tooMany] = await outputsOf(server, waited?.metadata.finished[0], "sandbox_exec");
  expect(first).toMatch(/^NVIDIA H200\nstep 1\nheld \d+ \d+\n\[exit code 0\]\n\[ran on H200 \(NVIDIA H200\); 4 changed files came back, 1 removed here too\]\n\[you changed these files meanwhile, so yours stay: notes \(the command's version is notes\.from-gpu\)\]$/);
  expect(looked).toMatch(/^alive\n200000\nmine\ngpu\n.*not found\n/);
  expect(second).toBe("200000\nmine\n[exit code 0]\n[ran on H200 (NVIDIA H200), which you had still; it changed no files here]");
  expect(inBackground).toStartWith("Error invalid_task: A command with gpu runs in the foreground");
  expect(tooMany).toMatch(/^Error invalid_task: gpu "H100:8" is more than gpuLimits allows/);
  await until(async () => (await withGpu()).length === 0, { what: "the GPU has ended with its job" });
  // It counts until OpenCode has heard of its end.
  const after = await until(async () => {
    const { pool, jobs } = (await ask(server, session.id, status())).metadata;
    return (pool.gpus as Record<string, { used: number }>).total?.used === 0 ? jobs : null;
  }, { what: "no GPU is in use", everyMs: TURN_EVERY_MS });
  expect(after[0]?.usd.compute ?? 0).toBeGreaterThan(0);
  await server.client.session.delete({ sessionID: session.id });
  await noneLeft(modal);
}); // biome-ignore format: expected lines

sandboxTest("OpenCode killed during a command leaves the job's files whole and no GPU, and the job goes on", async () => {
  const { modal } = setup;
  const session = await setup.server.createSession();
  const job = task("is cut off", shell("echo own > file"), onGpu(`echo gpu > file; ${HOLD}`, "T4", { timeout_seconds: 600 }), say("never said"));
  const [started] = await turn(setup.server, session.id, start(job));
  const child = started?.metadata.jobs[0]?.id as string;
  await until(async () => (await holdersAt(modal)).length === 1, { what: "the command is at its gate" });
  setup.server = await restart(setup.server, setup.home, "SIGKILL");
  const { server } = setup;
  await ask(server, session.id, status());
  const [waited] = await turn(server, session.id, wait());
  const [ended] = waited?.metadata.finished ?? [];
  expect(ended).toMatchObject({ id: child, state: "completed" });
  await until(async () => (await withGpu()).length === 0, { what: "the GPU is given up" });
  const told = (await server.messages(ended?.sessionID as string)).flatMap(({ parts }) => parts).map((part) => (part.type === "text" ? part.text : ""));
  expect(told.join("\n")).toContain("was cut off, and nothing it wrote came back: run it again.");
  const [own] = await modal.sandboxes({ live: true });
  expect(await Bun.file(fileAt(own as never, "file")).text()).toBe("own\n");
  expect(ended?.usd.compute).toBeGreaterThan(0);
  await server.client.session.delete({ sessionID: session.id });
  await noneLeft(modal);
}); // biome-ignore format: expected lines

sandboxTest("a job that loses its own sandbox under a command on a GPU is told so, and nothing is left of the GPU", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  const job = task("loses", shell("echo own > file"), onGpu(`echo gpu > file; ${HOLD}`, "T4", { timeout_seconds: 600 }), say("gone on"));
  await turn(server, session.id, start(job));
  await until(async () => (await holdersAt(modal)).length === 1, { what: "the command is at its gate" });
  const [own] = (await modal.sandboxes({ live: true })).filter((one) => !one.gpu);
  await modal.preempt(own?.id as string);
  const [waited] = await turn(server, session.id, wait());
  const [ended] = waited?.metadata.finished ?? [];
  const parts = await server.toolParts(ended?.sessionID as string, "sandbox_exec");
  const answer = parts.find(({ state }) => "gpu" in state.input);
  expect(answer && answerOf(answer).output).toStartWith("Error sandbox_lost: Your own sandbox was lost while this command");
  expect(ended?.notes.join()).toContain("What a command on a GPU had written did not come back");
  await until(async () => (await withGpu()).length === 0, { what: "the GPU is given up" });
  // Its place is given up when this process has learned of the end, a moment later.
  const total = async () => {
    const { pool } = (await ask(server, session.id, status())).metadata;
    return (pool.gpus as Record<string, { used: number; limit: number }>).total;
  };
  await until(async () => (await total())?.used === 0, { what: "its place among the GPUs is free" });
  expect(await total()).toEqual({ used: 0, limit: 2 });
  await server.client.session.delete({ sessionID: session.id });
  await noneLeft(modal);
}); // biome-ignore format: expected lines
