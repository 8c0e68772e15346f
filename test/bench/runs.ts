import type { JobView } from "../../src/views/job-view.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { startModalSetup } from "../support/modal-setup.ts";
import { call, say } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { outputsOf, shell, start, task, turn, wait } from "../support/turns.ts";
import { type CpuSeconds, meter } from "./host-meter.ts";
import { ranFrom, SAY_WHEN } from "./ran.ts";
import { type Interval, slotUse } from "./slots.ts";
import { median } from "./stats.ts";

const SLOTS = 16;
const RUNS = 500;
/** Jobs of agents cost as much each however many there are. */
const AGENTS = 100;
const SECONDS = 2;
const FILES = 50;
/** Says when it came and when it left. */
const COMMAND = `${SAY_WHEN}; sleep ${SECONDS}; ${SAY_WHEN}`;
const OPTIONS = {
  maxRunningJobs: SLOTS,
  maxTasksPerCall: RUNS,
  environments: { default: { workspace: "project" } },
  parkAfterSeconds: 60,
  budget: { usdPerSession: null },
};
/** The test server plays a second of Modal's own times in this many ms, so it must take creations as much faster. */
const MODAL_SECOND_MS = 20;
const MODAL_PER_SECOND = (5 * 1000) / MODAL_SECOND_MS;

type Kind = "runs" | "agents";

/**
 * Runs without a model beside agents that run the same command: what each costs this machine, and how soon the next command
 * starts when one has ended.
 * @param count of runs; fewer for a quick look
 */
export async function benchRuns(_rounds: number, count = RUNS): Promise<void> {
  const files = Object.fromEntries(Array.from({ length: FILES }, (_, n) => [`src/file-${n}.txt`, `file ${n}\n`]));
  const places: readonly (readonly [string, () => Promise<TestSetup>])[] = [
    ["local", () => startSetup({ ...OPTIONS, provider: "local" }, { files })],
    [
      "Modal's test server",
      () =>
        startModalSetup(
          { ...OPTIONS, modal: { createsPerSecond: MODAL_PER_SECOND, createsBurst: RUNS } },
          {
            files,
            server: { createsPerSecond: MODAL_PER_SECOND, createsBurst: RUNS, latencySecondMs: MODAL_SECOND_MS },
          },
        ),
    ],
  ];
  for (const [name, open] of places) {
    if (name !== "local" && !canIsolate()) continue;
    const ways: readonly (readonly [string, Kind, object])[] = [
      ["runs", "runs", {}],
      ["runs that take over sandboxes", "runs", { reuse: true }],
      ["jobs of agents", "agents", {}],
    ];
    const cost: CpuSeconds[] = [];
    for (const [what, kind, more] of ways) {
      const jobs = kind === "runs" ? count : Math.min(count, AGENTS);
      console.log(`${name}: ${jobs} ${what} of ${SECONDS} s on ${SLOTS} slots`);
      cost.push(await measure(open, kind, jobs, more));
    }
    console.log(
      [
        "  beside an agent's job, a run and one that takes over a sandbox cost",
        `  of OpenCode's own CPU ${beside(cost.map(({ own }) => own))}; of all CPU, with what OpenCode starts, ${beside(cost.map(({ own, started }) => own + started))}\n`,
      ].join("\n"),
    );
  }
}

const beside = ([run = Number.NaN, reused = Number.NaN, agent = Number.NaN]: readonly number[]): string =>
  `${(run / agent).toFixed(3)} and ${(reused / agent).toFixed(3)}`;

/** @returns CPU for each job */
async function measure(open: () => Promise<TestSetup>, kind: Kind, jobs: number, more: object): Promise<CpuSeconds> {
  const setup = await open();
  const { server } = setup;
  try {
    const warmUp = await server.createSession();
    await turn(server, warmUp.id, startOf(kind, 1, more), wait()); // the first job also sends the project
    const session = await server.createSession();
    const books = meter(server.pid);
    const [, waited] = await turn(server, session.id, startOf(kind, jobs, more), wait({ timeout_seconds: 14_400 }));
    const cpu = books.cpu();
    const memory = books.memory();
    const commands = await commandsOf(setup, waited?.metadata.finished ?? [], kind);
    if (commands.length !== jobs) throw new Error(`${commands.length} of ${jobs} commands ran`);
    await books.stop();
    print(cpu, memory, commands, jobs);
    return { own: cpu.own / jobs, started: cpu.started / jobs };
  } finally {
    await setup.stop();
  }
}

function print(
  cpu: { readonly own: number; readonly started: number },
  memory: readonly number[],
  commands: readonly Interval[],
  jobs: number,
): void {
  const { busy, turnovers, most } = slotUse(commands, SLOTS);
  const ms = (seconds: number) => `${((seconds * 1000) / jobs).toFixed(0)} ms`;
  const at = (share: number) =>
    turnovers[Math.min(turnovers.length - 1, Math.floor(turnovers.length * share))] ?? Number.NaN;
  const wall = Math.max(...commands.map(({ to }) => to)) - Math.min(...commands.map(({ from }) => from));
  console.log(
    [
      `  CPU for each: OpenCode itself ${ms(cpu.own)}; what it starts (isolation, copies, git, the command) ${ms(cpu.started)}`,
      turnovers.length === 0
        ? "  fewer jobs than slots: no turnover"
        : `  from the end of a command to the next: median ${median(turnovers).toFixed(0)} ms, 95 % below ${at(0.95).toFixed(0)}, most ${at(1).toFixed(0)}`,
      `  slots busy ${(busy * 100).toFixed(1)} % until the last start; at once at most ${most}; ${(wall / 1000).toFixed(1)} s in all`,
      `  memory of OpenCode in MiB: ${quarters(memory)
        .map((value) => value.toFixed(0))
        .join(", ")}`,
    ].join("\n"),
  );
}

/** The first value, the largest of each quarter, and the last one. */
function quarters(samples: readonly number[]): number[] {
  const quarter = Math.max(1, Math.ceil(samples.length / 4));
  const largest = [0, 1, 2, 3].map((n) => Math.max(...samples.slice(n * quarter, (n + 1) * quarter)));
  return [samples[0] ?? Number.NaN, ...largest.filter(Number.isFinite), samples.at(-1) ?? Number.NaN];
}

const startOf = (kind: Kind, jobs: number, more: object) =>
  kind === "runs"
    ? call("agents_start", {
        tasks: [
          { description: "run", command: COMMAND, matrix: { N: Array.from({ length: jobs }, (_, n) => n) }, ...more },
        ],
      })
    : start(...Array.from({ length: jobs }, (_, n) => task(`agent ${n}`, shell(COMMAND), say("done"))));

async function commandsOf(setup: TestSetup, jobs: readonly JobView[], kind: Kind): Promise<Interval[]> {
  const texts: string[] = [];
  for (const job of jobs)
    texts.push(kind === "runs" ? (job.result ?? "") : (await outputsOf(setup.server, job, "sandbox_exec")).join("\n"));
  return texts.flatMap(ranFrom);
}
