import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LabServer, startLab, startLabIn } from "../support/lab.ts";
import { sandboxesOf, withoutBubblewrap } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, cancel, message, shell, start, status, task, turn, wait } from "../support/turns.ts";

/** The process of the tests that have a project in it. */
let host: LabServer;

beforeAll(async () => {
  host = await startLab();
}, 240_000);

afterAll(async () => {
  await host?.stop();
}, 240_000);

async function withLab(starting: Promise<LabServer>, use: (lab: LabServer) => Promise<void>): Promise<void> {
  const own = await starting;
  try {
    await use(own);
  } finally {
    await own.stop();
  }
}

const every = (job = "job_000000000000") => [
  start(task("x", say("no"))),
  status(),
  wait(),
  message(job, "x"),
  cancel(job),
  call("sandbox_snapshot", { job }),
];

test(
  "wrong options leave OpenCode working; every tool names each key, and nothing is written",
  () =>
    withLab(
      startLabIn(host, {
        maxRunningJob: 3,
        maxTasksPerCall: "many",
        local: { gpus: [0] },
        environments: { big: { setup: ["make"], workdir: "relative" } },
      }),
      async ({ server, home, model }) => {
        const session = await server.createSession();
        const answers = await turn(server, session.id, ...every());
        const toast = await server.events.waitFor(({ type }) => type === "tui.toast.show", {
          what: "a toast is shown",
        });
        expect(JSON.stringify(toast.properties)).toContain('Did you mean \\"maxRunningJobs\\"?');
        expect(answers).toHaveLength(6);
        for (const { output, metadata } of answers) {
          expect(metadata.error).toMatchObject({ code: "config_invalid", retryable: false });
          expect(output).toStartWith("Error config_invalid: ");
          for (const said of [
            "maxRunningJob in opencode.json: found an unknown key; allowed: provider, ",
            'Did you mean "maxRunningJobs"?',
            'maxTasksPerCall in opencode.json: found "many"; allowed: ',
            "local.gpus in opencode.json: this version does not do this yet; remove it.",
            "environments.big.setup in opencode.json: this version does not do this yet; remove it.",
            'environments.big.workdir in opencode.json: found "relative"; allowed: ',
          ]) {
            expect(output).toContain(said);
          }
        }
        expect(model.requests.at(-1)?.system).toContain("The parallel agents plugin is misconfigured");
        expect(existsSync(home.stateDir)).toBe(false);
        const echo = await ask(server, session.id, call("bash", { command: "echo works", description: "says" }));
        expect(echo.output).toContain("works");
      },
    ),
  240_000,
);

test(
  "options that are no object, and a file that is no JSON, are told too",
  () =>
    withLab(
      startLab(
        { environments: [1] },
        { homeFiles: { ".config/opencode/parallel-agents.jsonc": "{ maxRunningJobs: " } },
      ),
      async ({ server }) => {
        const session = await server.createSession();
        const { output } = await ask(server, session.id, status());
        expect(output).toContain(
          "environments in opencode.json: found a list of 1; allowed: an object of environments by name",
        );
        expect(output).toContain("parallel-agents.jsonc");
      },
    ),
  240_000,
);

test("a state folder that cannot be written is named, and the tools work once it can be", () => {
  writeFileSync(join(host.home.home, "file"), "not a folder");
  return withLab(startLabIn(host, { stateDir: "~/file/state" }), async ({ server, home }) => {
    const session = await server.createSession();
    const { metadata } = await ask(server, session.id, start(task("x", say("no"))));
    expect(metadata.error).toMatchObject({ code: "config_invalid", retryable: false });
    expect(metadata.error?.message).toContain(`Could not use the state file ${join(home.home, "file/state")}`);
    expect(metadata.error?.message).toContain('set "stateDir" to another one');
    rmSync(join(home.home, "file"));
    expect((await ask(server, session.id, status())).metadata).toMatchObject({ jobs: [], pool: { running: 0 } });
  });
}, 240_000);

const noWalls = (title: string, starting: () => Promise<LabServer>, said: string) =>
  test(
    title,
    () =>
      withLab(starting(), async ({ server, home }) => {
        const session = await server.createSession();
        const marker = join(home.root, "on-the-host");
        const [, waited] = await turn(
          server,
          session.id,
          start(task("x", shell(`touch ${marker}`), say("no"))),
          wait(),
        );
        expect(waited?.metadata.finished).toMatchObject([
          {
            state: "failed",
            turns: 0,
            sandbox: "none",
            error: { code: "isolation_unavailable", retryable: false, message: expect.stringContaining(said) },
          },
        ]);
        expect(existsSync(marker)).toBe(false);
        expect(sandboxesOf(home)).toEqual([]);
      }),
    240_000,
  );

noWalls(
  "an isolation this machine does not have fails the job, never its walls",
  () => startLabIn(host, { local: { isolation: "seatbelt" } }),
  "Seatbelt needs macOS",
);
noWalls(
  "without bubblewrap jobs fail and nothing runs on the host",
  () => startLab({}, {}, { under: withoutBubblewrap }),
  "bwrap not installed",
);
