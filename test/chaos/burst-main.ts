import { appendFileSync } from "node:fs";
import type { SessionJobs } from "../../src/jobs/session/session-jobs.ts";
import type { PoolStore } from "../../src/jobs/store/pool-store.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { until } from "../support/wait.ts";
import { ORCHESTRATOR, startIn } from "../unit/jobs/runtime-world.ts";
import {
  type BurstProcess,
  COMMAND,
  FILES_BEFORE,
  GPU,
  inSandbox,
  NEVER_REACHED,
  openBurstRuntime,
} from "./burst-process.ts";

/*
 * A process whose job runs a command on a GPU, and that kills itself at one of the steps of that. Every step is a call of the
 * provider or a write of the state, and is written down before and after it.
 */

const { place, killAt, log } = JSON.parse(process.argv[2] ?? "") as BurstProcess;
let isArmed = false;

const times = new Map<string, number>();

function reached(name: string): void {
  if (!isArmed) return;
  const time = (times.get(name) ?? 0) + 1;
  times.set(name, time);
  const step = time === 1 ? name : `${name} (${time})`;
  appendFileSync(log, `${Date.now()} ${step}\n`);
  if (step === killAt) process.kill(process.pid, "SIGKILL");
}

/** Calls it between two steps. */
function between<T>(step: string, call: () => T): T {
  reached(`before ${step}`);
  const answer = call();
  if (answer instanceof Promise)
    return answer.then((value) => {
      reached(`after ${step}`);
      return value;
    }) as T;
  reached(`after ${step}`);
  return answer;
}

const inner = new Map<Sandbox, Sandbox>();
const unwrap = (value: unknown): unknown => inner.get(value as Sandbox) ?? value;

/** With the calls among `names` as steps, or with all of them; sandboxes that are handed in are the real ones. */
function watched<T extends object>(target: T, describe: (key: string, args: unknown[]) => string | null): T {
  return new Proxy(target, {
    get(_, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const call = () => value.apply(target, args.map(unwrap));
        const step = describe(String(key), args);
        return step === null ? call() : between(step, call);
      };
    },
  });
}

const SCRIPTS: readonly [RegExp, string][] = [
  [/command -v find/, "list"], [/if tar --null/, "pack"], [/mkdir -p -- "\$s\/tree"/, "unpack"], [/plan\.new/, "put in place"],
  [/for s in/, "recover"], [/find \/ /, "look outside"], [/exchange\.mark/, "mark"],
]; // biome-ignore format: a table

function watchedSandbox(sandbox: Sandbox, name: string): Sandbox {
  const outer = watched(sandbox, (key, args) => {
    if (key === "readFile" || key === "writeFile") return `${key} ${name} ${String(args[0]).replace(/^.*\//, "")}`;
    if (key === "terminate") return `terminate ${name}`;
    if (key !== "start") return null;
    const script = (args[0] as { argv: string[] }).argv.join(" ");
    return `start ${name} ${SCRIPTS.find(([pattern]) => pattern.test(script))?.[1] ?? "command"}`;
  });
  inner.set(outer, sandbox);
  return outer;
}

function watchedProvider(real: SandboxProvider): SandboxProvider {
  const snapshots = real.snapshots && watched(real.snapshots, (key) => (key === "take" ? "snapshot" : null));
  const create: SandboxProvider["create"] = (spec, ...rest) => {
    const name = spec.machine?.gpu ? "gpu" : "own";
    return between(`create ${name}`, async () => {
      const making = real.create(spec, ...rest);
      if (killAt === `during create ${name}`) {
        await until(async () => (await real.list()).some(({ tags }) => tags.burst), { what: "it is being made" });
        reached(killAt);
      }
      return watchedSandbox(await making, name);
    });
  };
  return new Proxy(real, {
    get(target, key) {
      if (key === "snapshots") return snapshots;
      if (key === "create") return create;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const WRITES: readonly (keyof PoolStore)[] = [
  "acquireLease", "enqueue", "leaveQueue", "releaseLease", "insertSandbox", "deleteSandbox", "saveSnapshot",
]; // biome-ignore format: a table

function watchWrites(pool: PoolStore, sessionJobs: SessionJobs): void {
  for (const name of WRITES) {
    const write = pool[name] as (...args: unknown[]) => unknown;
    Object.assign(pool, { [name]: (...args: unknown[]) => between(`pool ${name}`, () => write.apply(pool, args)) });
  }
  const { update } = sessionJobs;
  sessionJobs.update = (id, change) => {
    const job = sessionJobs.get(id);
    const next = job && change(job);
    if (!next || next === job) return update.call(sessionJobs, id, change);
    const what = `${next.burst?.doing ?? "none"}${next.burst?.sandboxID ? " with a sandbox" : ""}${next.compute.burst ? " that costs" : ""}`;
    return between(`job ${what}`, () => update.call(sessionJobs, id, change));
  };
}

const { runtime } = await openBurstRuntime(place, {
  lingerSeconds: killAt === "lingering" ? 600 : 0,
  watch: watchedProvider,
});
const [job] = await startIn(runtime, ORCHESTRATOR, "hang");
const jobID = job?.id as string;
const sessionJobs = await runtime.sessionJobs(ORCHESTRATOR);
await until(() => sessionJobs.get(jobID)?.state.kind === "running", { what: "the job runs" });
const here = runtime.lifecycle.live(jobID) as Sandbox;
await runtime.machineGpus.read();
await inSandbox(here, FILES_BEFORE);
watchWrites(runtime.pool, sessionJobs);
isArmed = true;
const request = {
  sessionJobs, jobID, gpus: [GPU[place.name]], command: COMMAND, here, signal: new AbortController().signal,
  exclusively: <T>(work: () => Promise<T>) => work(), onWait: () => {}, describeStep: () => null,
}; // biome-ignore format: one line
await runtime.bursts.run(request, (there) => between("run", () => inSandbox(there, COMMAND)));
reached("lingering");
await until(() => sessionJobs.get(jobID)?.burst == null, { what: "its GPU is given up" });
process.exit(NEVER_REACHED);
