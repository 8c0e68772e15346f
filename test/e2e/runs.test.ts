import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { restart } from "../support/opencode.ts";
import { commandsWith, sandboxTest, uniqueSeconds } from "../support/sandboxes.ts";
import { call } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { ask, cancel, start, status, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

/** One home for all: each test leaves it with its jobs ended. */
let setup: TestSetup;

beforeAll(async () => {
  setup = await startSetup({ maxRunningJobs: 3 }, { files: { ".gitignore": "out/\n", "note.txt": "old\n" } });
});

afterAll(async () => {
  await setup?.stop();
});

const sleepers = (seconds: string): number =>
  commandsWith(seconds).filter((command) => command.startsWith("sleep ")).length;

sandboxTest(
  "a task that is a command runs it without a model, once per combination, and its exit code decides",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const [started, waited] = await turn(
      server,
      session.id,
      start(
        { description: "good", command: "echo $((6*7))" },
        { description: "bad", command: ["sh", "-c", "echo broken >&2; exit 3"] },
        { description: "sweep", command: 'echo "$LR $SEED"', matrix: { LR: [0.1, "1e-5"], SEED: [1, 2] } },
      ),
      wait(),
    );
    expect(started?.metadata.jobs.map(({ kind, agent }) => `${kind}${agent}`)).toEqual(Array(6).fill("run"));
    const [good, bad, ...sweep] = waited?.metadata.finished ?? [];
    expect(good).toMatchObject({ state: "completed", exitCode: 0, result: "42", turns: 0, usd: { model: 0 } });
    expect(good?.sessionID).toBeUndefined();
    expect(bad).toMatchObject({ state: "failed", exitCode: 3, result: "broken", error: { code: "command_failed" } });
    expect(bad?.error?.message).toContain('exit code 3. Its last lines: "broken"');
    expect(sweep.map(({ result }) => result as string)).toEqual(["0.1 1", "0.1 2", "1e-5 1", "1e-5 2"]);
    expect(sweep[3]).toMatchObject({ params: { LR: "1e-5", SEED: 2 }, description: "sweep (LR=1e-5, SEED=2)" });
  },
);

sandboxTest(
  "a run's output of any size and kind stays bounded, and its files come back, ignored ones too",
  async () => {
    const { server, home } = setup;
    const session = await server.createSession();
    const seconds = uniqueSeconds();
    const [, waited] = await turn(
      server,
      session.id,
      start(
        { description: "much", command: "head -c 50000000 /dev/zero | tr '\\0' x | fold -w 99; echo the end" },
        { description: "binary", command: "head -c 50000 /dev/urandom; printf '\\n\\033[31mred\\n'; kill -SEGV $$" },
        {
          description: "files",
          command: `sleep ${seconds} & mkdir -p out; echo '{}' > out/m.json; echo new > note.txt; cat; echo $PARALLEL_AGENTS_RUN`,
          files: ["out/**/*.json"],
        },
      ),
      wait(),
    );
    const [much, binary, files] = waited?.metadata.finished ?? [];
    expect(much).toMatchObject({ state: "completed", exitCode: 0 });
    expect(much?.result).toMatch(/^\[… only the end .*\nx{99}/);
    expect(much?.result).toEndWith("the end");
    expect(much?.result?.length).toBeLessThan(4_200);
    expect(binary).toMatchObject({ state: "failed", exitCode: 139, error: { code: "command_failed" } });
    expect(binary?.error?.message).toContain("was killed by SIGSEGV");
    expect(files).toMatchObject({ state: "completed", result: files?.id });
    const answers = await turn(server, session.id, call("agents_collect", { job: files?.id, mode: "files" }));
    expect(answers[0]?.output).toContain("out/m.json (3 bytes)");
    expect(existsSync(join(home.project, ".opencode/collected", files?.id ?? "", "out/m.json"))).toBeTrue();
    expect(answers[0]?.output).not.toContain("note.txt");
    await until(() => commandsWith(seconds).length === 0, { what: "nothing is left of the runs" });
  },
);

sandboxTest(
  "running runs are shown, frozen, cancelled and stopped in time, and begin again once when OpenCode is killed",
  async () => {
    const session = await setup.server.createSession();
    const seconds = uniqueSeconds();
    const [started] = await turn(
      setup.server,
      session.id,
      start(
        { description: "cancelled", command: `trap 'echo bye; exit 0' TERM; echo hello; sleep ${seconds} & wait` },
        { description: "late", command: `trap '' TERM; while :; do sleep ${seconds}; done`, timeout_minutes: 0.1 },
        {
          description: "again",
          command: `echo x >> log; wc -l < log; [ -e stop ] && exit 0; touch stop; sleep ${seconds}`,
        },
      ),
    );
    const [cancelled = "", late = "", again = ""] = started?.metadata.jobs.map(({ id }) => id) ?? [];
    await until(() => sleepers(seconds) === 3, { what: "all three run" });
    await until(async () => /runs ".*" · "hello"/.test((await ask(setup.server, session.id, status())).output), {
      what: "what they run and their newest lines are shown",
    });
    const [frozen, after] = await turn(
      setup.server,
      session.id,
      call("sandbox_snapshot", { job: cancelled }),
      cancel(cancelled),
    );
    expect(frozen?.output).toStartWith(`Snapshot snap_`);
    expect(after?.metadata.jobs[0]).toMatchObject({ state: "cancelled", sandbox: "parked", result: "hello\nbye" });
    const ended = (await ask(setup.server, session.id, wait({ jobs: [late] }))).metadata.finished[0];
    expect(ended).toMatchObject({ state: "failed", sandbox: "parked", error: { code: "timed_out" } });
    expect(ended?.error?.message).toEndWith(`kept in the snapshot ${ended?.snapshot}: start another run from it.`);
    expect(sleepers(seconds)).toBe(1);

    setup.server = await restart(setup.server, setup.home, "SIGKILL");
    const { finished } = (await ask(setup.server, session.id, wait({ jobs: [again] }))).metadata;
    expect(finished).toMatchObject([{ state: "completed", attempts: 2, exitCode: 0, result: "2" }]);
    await until(() => commandsWith(seconds).length === 0, { what: "nothing is left of the runs" });
  },
);
