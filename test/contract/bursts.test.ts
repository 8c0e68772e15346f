import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { formatGpu } from "../../src/config/gpu.ts";
import { defaultOptions } from "../../src/config/schema.ts";
import { openRuntime, type Runtime } from "../../src/jobs/runtime.ts";
import type { SessionJobs } from "../../src/jobs/session/session-jobs.ts";
import type { Sandbox, SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import { createGpuMachine } from "../support/gpu-machine.ts";
import { createScriptedOrchestrator } from "../support/scripted-orchestrator.ts";
import { createScriptedSessions } from "../support/scripted-sessions.ts";
import { until } from "../support/wait.ts";
import { CATALOG, ORCHESTRATOR, startIn } from "../unit/jobs/runtime-world.ts";
import { localProvider, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

/** Commands of jobs on GPUs of a stand-in machine, in local sandboxes, broken off at every step. */

const machine = createGpuMachine([0, 1].map((minor) => ({ minor, bus: `0000:0${minor + 4}:00.0` })));
const why = await whyNoIsolation();
if (why !== null) test.skip(`bubblewrap was left out: ${why}`, () => {});

const rootDir = newRoot();
/** Called before each call on a sandbox or the provider, named after what it does. */
let before: (step: string) => void = () => {};
/** One for each process, as that closes it. */
let inner: SandboxProvider = localProvider(rootDir, { gpus: machine.gpus() });

const watched = (sandbox: Sandbox): Sandbox =>
  new Proxy(sandbox, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (key === "start") before(`start ${String((args[0] as { argv: string[] }).argv[2]).slice(0, 400)}`);
        if (key === "readFile" || key === "writeFile") before(`${key} ${String(args[0])}`);
        return value.apply(target, args);
      };
    },
  });
const wrapped = new Map<Sandbox, Sandbox>();
const unwrap = (sandbox: Sandbox): Sandbox => [...wrapped].find(([, outer]) => outer === sandbox)?.[0] ?? sandbox;
function watchedProvider(): SandboxProvider {
  inner = localProvider(rootDir, { gpus: machine.gpus() });
  return new Proxy(inner, {
    get(target, key) {
      if (key === "create")
        return async (spec: SandboxSpec, ...rest: [AbortSignal | undefined]) => {
          before(`create ${spec.machine?.gpu ? "gpu" : "own"}`);
          const sandbox = await target.create(spec, ...rest);
          wrapped.set(sandbox, watched(sandbox));
          return wrapped.get(sandbox);
        };
      if (key === "snapshots" && target.snapshots) {
        const { snapshots } = target;
        const take: typeof snapshots.take = (sandbox, ...rest) => snapshots.take(unwrap(sandbox), ...rest);
        const keep: typeof snapshots.keep = (sandbox) => snapshots.keep(unwrap(sandbox));
        const retire: typeof snapshots.retire = (sandbox, on) => snapshots.retire(unwrap(sandbox), on);
        return new Proxy(snapshots, {
          get: (one, name) =>
            name === "take" ? take : name === "keep" ? keep : name === "retire" ? retire : bound(one, name),
        });
      }
      return bound(target, key);
    },
  });
}
function bound(target: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(target, key, target);
  return typeof value === "function" ? value.bind(target) : value;
}

const sessions = createScriptedSessions(systemClock);
const open = (gpuLingerSeconds: number): Promise<Runtime> =>
  openRuntime({
    options: { ...defaultOptions(rootDir), gpuLingerSeconds },
    notices: [], sessions, orchestrators: createScriptedOrchestrator(systemClock), providerName: "local",
    createProvider: async () => watchedProvider(), machineGpus: machine.gpus(), catalog: async () => CATALOG,
    directory: null, hostEnv: {}, clock: systemClock, ids: randomId, log: () => {},
  }); // biome-ignore format: a table

afterAll(async () => {
  machine.remove();
  rmSync(rootDir, { recursive: true, force: true });
});

const H100 = { type: "H100", count: 1, exact: false, onMachine: true };
const said = async (sandbox: Pick<Sandbox, "start">, command: string): Promise<string> =>
  (await sh(sandbox, command)).stdout.trim();
/** Its commands are killed when they are stopped, as the tool kills them: else only garbage collection would end them, minutes later. */
const stoppable = (sandbox: Sandbox, signal: AbortSignal): Pick<Sandbox, "start"> => ({
  async start(request) {
    const child = await sandbox.start(request);
    signal.addEventListener("abort", () => void child.signal("SIGKILL").catch(() => {}), { once: true });
    return child;
  },
});

interface Working {
  readonly runtime: Runtime;
  readonly sessionJobs: SessionJobs;
  readonly id: string;
  readonly own: Sandbox;
  abort: AbortController;
  burst(command: string, gpu?: typeof H100): ReturnType<Runtime["bursts"]["run"]>;
  gpuSandboxes(): Promise<number>;
}

/** A job that is at work, in a session of its own. */
async function withJob(lingerSeconds: number, use: (job: Working) => Promise<void>): Promise<void> {
  const runtime = await open(lingerSeconds);
  const orchestrator = `${ORCHESTRATOR}_${randomId("x")}`;
  const [job] = await startIn(runtime, orchestrator, "hang");
  const id = job?.id as string;
  const sessionJobs = await runtime.sessionJobs(orchestrator);
  await until(async () => sessionJobs.get(id)?.state.kind === "running", { what: "the job runs" });
  const own = runtime.lifecycle.live(id) as Sandbox;
  await runtime.machineGpus.read();
  const working: Working = {
    runtime, sessionJobs, id, own, abort: new AbortController(),
    burst: (command, gpu = H100) =>
      runtime.bursts.run(
        { sessionJobs, jobID: id, gpus: [gpu], command, here: own, signal: working.abort.signal, exclusively: (work) => work(), onWait: () => {}, describeStep: () => null },
        async (there, signal) => {
          before("run");
          return said(stoppable(there, signal), command);
        },
      ),
    gpuSandboxes: async () => (await inner.list()).filter(({ tags }) => tags.burst).length,
  }; // biome-ignore format: one line
  try {
    await use(working);
  } finally {
    before = () => {};
    await runtime.suspend();
    expect(await working.gpuSandboxes()).toBe(0);
  }
}

const usedGpus = ({ runtime }: Working): number => (runtime.scheduler.counts().gpus.total as { used: number }).used;

describe.skipIf(why !== null)("a command on a GPU of this machine", () => {
  test("runs beside the job's own sandbox, whose files it changes; the next one finds its GPU, and a job that waits gets it", async () => {
    await withJob(600, async (job) => {
      await said(job.own, "echo 1 > a; mkdir ckpt");
      const first = await job.burst("ls /dev | grep 'nvidia[0-9]'; cat a; echo 2 > ckpt/model.pt");
      expect(first).toMatchObject({
        result: "nvidia0\n1",
        gpu: "H100",
        wasThere: false,
        returned: { kind: "returned" },
      });
      expect(await said(job.own, "cat ckpt/model.pt; ls /dev | grep nvidia")).toBe("2");
      expect([usedGpus(job), job.sessionJobs.get(job.id)?.burst?.doing]).toEqual([1, "idle"]);
      await said(job.own, "echo 3 > a");
      expect(await job.burst("cat a")).toMatchObject({ result: "3", wasThere: true });
      await said(job.own, "echo installed > $HOME/tool");
      expect(await job.burst("cat $HOME/tool")).toMatchObject({ result: "installed", wasThere: false });
      const [other] = await startIn(job.runtime, job.sessionJobs.orchestrator, { description: "both", prompt: "say had", gpu: formatGpu({ ...H100, count: 2 }) }); // biome-ignore format: one line
      await until(async () => job.sessionJobs.get(other?.id as string)?.state.kind === "completed", { what: "the other job had both GPUs" }); // biome-ignore format: one line
      expect(job.sessionJobs.get(job.id)?.burst ?? null).toBeNull();
      expect(job.sessionJobs.get(job.id)?.formerBursts?.length).toBeGreaterThan(0);
      expect(job.sessionJobs.get(job.id)?.gpuUse?.heldSeconds).toBeGreaterThan(0);
    });
  });

  test("waits for a GPU with a reason, and is given up with its job", async () => {
    await withJob(600, async (job) => {
      const both = { ...H100, count: 2 };
      await job.burst("true", both);
      const [other] = await startIn(job.runtime, job.sessionJobs.orchestrator, {
        description: "waits",
        prompt: "hang",
      });
      const otherID = other?.id as string;
      await until(async () => job.sessionJobs.get(otherID)?.state.kind === "running", { what: "the other runs" });
      const running = job.burst("sleep 600", both); // the second job's command waits for it
      await until(async () => job.sessionJobs.get(job.id)?.burst?.doing === "running", { what: "it computes" });
      const here = job.runtime.lifecycle.live(otherID) as Sandbox;
      const stop = new AbortController();
      const waiting = job.runtime.bursts.run(
        { sessionJobs: job.sessionJobs, jobID: otherID, gpus: [H100], command: "x", here, signal: stop.signal, exclusively: (work) => work(), onWait: () => {}, describeStep: () => null },
        async () => "never",
      ); // biome-ignore format: one line
      await until(async () => job.sessionJobs.get(otherID)?.burst?.reason != null, { what: "it waits" });
      expect(job.sessionJobs.get(otherID)?.burst?.reason).toBe("waiting for 1 H100 (2 of 2 in use)");
      stop.abort();
      await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
      expect(job.sessionJobs.get(otherID)?.burst ?? null).toBeNull();
      await job.runtime.runner.stop(job.id); // as a cancellation does
      job.sessionJobs.update(job.id, (one) => ({ ...one, state: { kind: "cancelled", since: 0, reason: null } }));
      await running.catch(() => {});
      await until(async () => usedGpus(job) === 0, { what: "the GPUs are free" });
    });
  });

  const STEPS: readonly [name: string, step: RegExp][] = [
    ["while it waits for its sandbox", /^create gpu/],
    ["while files are sent", /^writeFile .*exchange.*list/],
    ["while it runs", /^run/],
    ["while what it changed is listed", /^start cd -- "\$1" \|\| exit 66\ncommand -v find/],
    ["while what it changed is packed", /^start cd -- "\$1" \|\| exit 66\nf=\$2\nif tar/],
    ["while what it changed is sent", /^readFile .*pack/],
    ["while it is put in place", /^start cd -- "\$1" \|\| exit 66\ns=/],
  ];
  const isAfterRun = (name: string): boolean => /runs|changed|in place/.test(name);
  test("stopped at any step leaves all of its files or none, no GPU and no GPU's cost that goes on", async () => {
    await withJob(0, async (job) => {
      for (const [name, step] of STEPS) {
        await said(job.own, "echo old > a; echo old > b; rm -f c");
        job.abort = new AbortController();
        let hasRun = false;
        before = (at) => {
          hasRun ||= at === "run";
          if (hasRun === isAfterRun(name) && step.test(at)) job.abort.abort();
        };
        await job.burst("echo new > a; echo new > b; echo new > c").catch(() => {});
        before = () => {};
        const now = await said(job.own, "cat a b c 2>/dev/null | sort -u; ls -A | tr '\\n' ' '");
        expect([name, now]).toEqual([name, expect.stringMatching(/^(old\na b|new\na b c)$/)]);
        expect([name, job.abort.signal.aborted]).toEqual([name, true]);
        const isOver = async () => job.sessionJobs.get(job.id)?.burst == null && (await job.gpuSandboxes()) === 0;
        await until(isOver, { what: `its GPU is given up: ${name}` });
        expect([job.sessionJobs.get(job.id)?.compute.burst ?? null, usedGpus(job)]).toEqual([null, 0]);
      }
    });
  });
});
