import { fileURLToPath } from "node:url";
import { canIsolate } from "../support/modal-server/machine.ts";
import { startModalServerProcess } from "../support/modal-server/own-process.ts";
import type { ModelReply, ModelRequest } from "../support/model-server.ts";
import { call, say, script } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { status, turn } from "../support/turns.ts";
import { until } from "../support/wait.ts";
import { median } from "./stats.ts";
import { firstStart } from "./tool-times.ts";

const STUB = fileURLToPath(new URL("stub-start-main.ts", import.meta.url));
/** Of every reply of a model, also of the one that has started the jobs. */
const THINK_MS = 1_000;
const COUNTS = [1, 8, 32];
const ROUNDS = 3;
/** Of a sandbox on the Modal server. The longest of the real service would hide all else. */
const BOOT_SECS = [2, 4] as const;
/** Of the environments that have a set-up. */
const SETUP_MS = 1_000;
const SETUP = `sleep ${SETUP_MS / 1_000}`;
/** Beside the bare host, of any number of jobs, and of many. */
const AIMS = { asked: 1, makespan: 1.05 };

/**
 * The bare host, twice. By hand nothing else happens in it. A tool that returns at once leaves it with two things to do: the
 * step of the session that called it goes on, with a git snapshot and a model request of its own, beside the children's.
 */
const BY_HAND = "child sessions by hand, no sandbox";
const STUB_TOOL = "a tool that only makes them, no sandbox";

/** A job of two seconds: a command in the middle says when it ran. */
const STAMP = "date +%s%N";
const jobOf = (word: string, tool: string): ModelReply[] => [
  { ...call(tool, { command: STAMP, description: word }), delayMs: THINK_MS },
  { ...say("done"), delayMs: THINK_MS },
];

/** Milliseconds after the start: when the last job's model was asked first, its first command ran, and it was asked last. */
interface Times {
  readonly asked: number;
  readonly command: number;
  readonly makespan: number;
}

/**
 * Times from the start of 1, 8 and 32 jobs to their first model requests and first commands, and until the last of them is
 * done: ours with local sandboxes and on a Modal server with the times of the real service, child sessions made and prompted
 * by hand and by a tool that does nothing else, which have no sandbox, and the built-in task tool; also with job sessions in
 * an instance of their own, as in the terminal UI. On Modal also with an environment that has a set-up: before
 * it has run, from its image, and with sandboxes kept ready.
 */
export async function benchFirstRequest(_rounds: number, only?: number): Promise<void> {
  if (!canIsolate()) return console.log("first-request: skipped, it needs bubblewrap\n");
  const modal = await startModalServerProcess({ profile: "realistic", latencySecondMs: 1_000, bootSecs: BOOT_SECS });
  const options = { maxRunningJobs: 32, parkAfterSeconds: 3_600, budget: { usdPerSession: null } };
  const host = { snapshot: true, config: { permission: { bash: "allow" } } };
  const withStub = {
    ...host,
    files: { ".opencode/plugin/stub.ts": `export { default } from ${JSON.stringify(STUB)};\n` },
  };
  const local = await startSetup({ ...options, provider: "local" }, withStub);
  const apart = await startSetup({ ...options, provider: "local", jobSessions: "own" }, host);
  const counts = only === undefined ? COUNTS : [only];
  const onModal = { ...options, modal: { createsPerSecond: 1_000, createsBurst: 1_000 } };
  // Each has a set-up of its own, so that none has run before.
  const unbuilt = Array.from({ length: 1 + counts.length * ROUNDS }, (_, n) => `cold${n}`);
  const cold = Object.fromEntries(unbuilt.map((name) => [name, { setup: `${SETUP}; : ${name}` }]));
  const remote = await startSetup(
    { ...onModal, environments: { default: {}, built: { setup: SETUP }, ...cold } },
    { ...host, env: modal.env },
  );
  const remoteApart = await startSetup({ ...onModal, jobSessions: "own" }, { ...host, env: modal.env });
  const warmed = await startSetup(
    { ...onModal, environments: { default: { setup: SETUP, warm: Math.max(...counts) } } },
    { ...host, env: modal.env },
  );
  const sides: [name: string, measure: (count: number) => Promise<Times>][] = [
    [BY_HAND, (count) => byHand(local, count)],
    [STUB_TOOL, (count) => byTool(local, count)],
    ["agents_start, local", (count) => ours(local, count)],
    ["agents_start, local, own instance", (count) => ours(apart, count)],
    [`agents_start, Modal, boot of ${BOOT_SECS.join(" to ")} s`, (count) => ours(remote, count)],
    ["agents_start, Modal, own instance", (count) => ours(remoteApart, count)],
    [COLD, (count) => ours(remote, count, unbuilt.pop())],
    ["agents_start, Modal, from its image", (count) => ours(remote, count, "built")],
    [WARM, (count) => whenWarm(warmed, count)],
    ["the built-in task tool, no sandbox", (count) => builtIn(local, count)],
  ];
  try {
    for (const [, measure] of sides) await measure(1); // opens the stores
    for (const count of counts) {
      const samples = new Map<string, Times[]>(sides.map(([name]) => [name, []]));
      for (let round = 0; round < ROUNDS; round++)
        // Which side comes first changes, so that a machine that gets busier favours none.
        for (const [name, measure] of round % 2 === 0 ? sides : sides.toReversed())
          samples.get(name)?.push(await measure(count));
      print(count, samples);
    }
  } finally {
    await warmed.stop();
    await local.stop();
    await apart.stop();
    await remote.stop();
    await remoteApart.stop();
    await modal.stop();
  }
}

const COLD = "agents_start, Modal, set-up not run yet";
const WARM = "agents_start, Modal, kept ready";

let words = 0;
const newWord = (): string => `mark${String(++words).padStart(5, "0")}`;

async function ours({ server, model }: TestSetup, count: number, environment = "default"): Promise<Times> {
  const marks = Array.from({ length: count }, newWord);
  const from = model.requests.length;
  const since = server.events.all.length;
  const tasks = marks.map((word) => ({
    description: word,
    prompt: script(...jobOf(word, "sandbox_exec")),
    environment,
  }));
  const session = await server.createSession();
  await server.prompt(
    session.id,
    script(call("agents_start", { tasks }), { ...call("agents_wait", {}), delayMs: THINK_MS }, say("ok")),
  );
  return timesOf(
    model.requests.slice(from),
    marks,
    "sandbox_exec",
    firstStart(server, since, { sessionID: session.id, tool: "agents_start" }),
  );
}

async function byHand({ server, model }: TestSetup, count: number): Promise<Times> {
  const marks = Array.from({ length: count }, newWord);
  const from = model.requests.length;
  const parent = await server.createSession();
  const since = Date.now();
  await Promise.all(
    marks.map(async (word) => {
      const { id } = await server.createSession({ parentID: parent.id, title: word });
      const text = script(...jobOf(word, "bash"));
      await server.client.session.promptAsync({ sessionID: id, agent: "build", parts: [{ type: "text", text }] });
    }),
  );
  await untilDone({ server, model }, from, count);
  return timesOf(model.requests.slice(from), marks, "bash", since);
}

async function byTool({ server, model }: TestSetup, count: number): Promise<Times> {
  const marks = Array.from({ length: count }, newWord);
  const from = model.requests.length;
  const since = server.events.all.length;
  const tasks = marks.map((word) => ({ title: word, prompt: script(...jobOf(word, "bash")) }));
  const session = await server.createSession();
  await server.prompt(session.id, script(call("stub_start", { tasks }), { ...say("ok"), delayMs: THINK_MS }));
  await untilDone({ server, model }, from, count);
  const start = firstStart(server, since, { sessionID: session.id, tool: "stub_start" });
  return timesOf(model.requests.slice(from), marks, "bash", start);
}

/** Waits until each of the sessions has been asked twice, and is at rest. */
async function untilDone(
  { server, model }: Pick<TestSetup, "server" | "model">,
  from: number,
  count: number,
): Promise<void> {
  const ran = ({ messages }: ModelRequest) => /\b\d{19}\b/.test(messages.at(-1)?.content ?? "");
  const last = () => model.requests.slice(from).filter(ran).length === count;
  await until(last, { what: "all have answered", timeoutMs: 120_000 });
  await until(async () => Object.keys((await server.client.session.status()).data ?? {}).length === 0, {
    what: "all are at rest",
  });
}

async function builtIn({ server, model }: TestSetup, count: number): Promise<Times> {
  const marks = Array.from({ length: count }, newWord);
  const from = model.requests.length;
  const since = server.events.all.length;
  const session = await server.createSession();
  const toolCalls = marks.map((word) => {
    const args = { description: word, prompt: script(...jobOf(word, "bash")), subagent_type: "general" };
    return { name: "task", arguments: args };
  });
  await server.prompt(session.id, script({ toolCalls }, say("ok")));
  return timesOf(
    model.requests.slice(from),
    marks,
    "bash",
    firstStart(server, since, { sessionID: session.id, tool: "task" }),
  );
}

/** The script of whoever starts the jobs has theirs in it. */
const isOrchestrators = (content: string): boolean =>
  content.includes('"subagent_type"') || content.includes('"tasks"');

const isLast = ({ messages }: ModelRequest): boolean => messages.at(-1)?.role === "tool";

function timesOf(requests: readonly ModelRequest[], marks: readonly string[], tool: string, since: number): Times {
  const asked: number[] = [];
  const commands: number[] = [];
  const ends: number[] = [];
  for (const word of marks) {
    const own = requests.filter(
      ({ tools, messages }) =>
        tools.includes(tool) &&
        messages.some(({ role, content }) => role === "user" && content.includes(word) && !isOrchestrators(content)),
    );
    const first = own[0];
    const last = own.find(isLast);
    const stamp = /\b(\d{19})\b/.exec(last?.messages.at(-1)?.content ?? "")?.[1];
    if (!first || !last || !stamp)
      throw new Error(`${word} did not run: ${JSON.stringify(own.map(({ lastUser }) => lastUser))}`);
    asked.push(first.at - since);
    commands.push(Number(BigInt(stamp) / 1_000_000n) - since);
    ends.push(last.at + THINK_MS - since);
  }
  return { asked: Math.max(...asked), command: Math.max(...commands), makespan: Math.max(...ends) };
}

const COLUMN = 20;

function print(count: number, samples: ReadonlyMap<string, readonly Times[]>): void {
  console.log(
    `${count} ${count === 1 ? "job" : "jobs"} of two seconds, milliseconds after the start, of the job that is last (beside child sessions by hand; beside a tool that only makes them)\n` +
      `  aims, of agents_start beside such a tool: first request ${AIMS.asked.toFixed(2)}${count > 1 ? `, end ${AIMS.makespan.toFixed(2)}` : ""}\n` +
      `  ${"".padEnd(40)}${["first request", "first command", "end"].map((name) => name.padStart(COLUMN)).join("")}`,
  );
  const middle = (times: readonly Times[], key: keyof Times) => median(times.map((one) => one[key]));
  const floors = [BY_HAND, STUB_TOOL].map((name) => samples.get(name) ?? []);
  for (const [name, times] of samples) {
    const columns = (["asked", "command", "makespan"] as const).map((key) => {
      const ratios = floors.map((floor) => (middle(times, key) / middle(floor, key)).toFixed(2));
      return `${middle(times, key).toFixed(0)} (${ratios.join("; ")})`.padStart(COLUMN);
    });
    console.log(`  ${name.padEnd(40)}${columns.join("")}`);
  }
  const saved = middle(samples.get(COLD) ?? [], "command") - middle(samples.get(WARM) ?? [], "command");
  console.log(
    `  kept ready, the first command comes ${saved.toFixed(0)} ms sooner; aim: the set-up's ${SETUP_MS} ms and the boot\n`,
  );
}

/** After a message, and the time in which what it makes ready is there. */
async function whenWarm(setup: TestSetup, count: number): Promise<Times> {
  const session = await setup.server.createSession();
  const ready = async () => {
    const [answer] = await turn(setup.server, session.id, status());
    return (answer?.metadata.environments[0]?.warm ?? 0) >= count;
  };
  await until(ready, { what: `${count} sandboxes are ready`, everyMs: 1_000 });
  return ours(setup, count);
}
