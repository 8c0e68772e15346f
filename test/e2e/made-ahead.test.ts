import { afterAll, beforeAll, describe, expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { must, restart } from "../support/opencode.ts";
import { commandsWith, sandboxesOf, sandboxTest, uniqueSeconds } from "../support/sandboxes.ts";
import { PACKAGE, startSetup, type TestSetup } from "../support/test-setup.ts";
import { ask, cancel, start, status, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

let setup: TestSetup;

beforeAll(async () => {
  setup = await startSetup({ maxRunningJobs: 1, environments: { default: { workspace: "project" } } });
});

afterAll(async () => {
  await setup?.stop();
});

const made = (): string[] => sandboxesOf(setup.home).filter((name) => name.startsWith("sbx_"));
const are = (count: number) => until(() => made().length === count, { what: `there are ${count} sandboxes` });
const collectGarbage = () =>
  spawnSync(join(PACKAGE, "node_modules/.bin/node"), [
    join(PACKAGE, "dist/cli/main.js"),
    ...["gc", "--state-dir", setup.home.stateDir, "--json"],
  ]).stdout.toString();

/** A run that takes long, and six more behind it. */
async function begin() {
  const session = await setup.server.createSession();
  const seconds = uniqueSeconds();
  const [started] = await turn(
    setup.server,
    session.id,
    start(
      { description: "long", command: `[ -e again ] || { touch again; sleep ${seconds}; }` },
      { description: "short", command: 'echo "ran $N"', matrix: { N: [1, 2, 3, 4, 5, 6] } },
    ),
  );
  const [long = "", ...short] = started?.metadata.jobs.map(({ id }) => id) ?? [];
  await until(() => commandsWith(seconds).length > 0, { what: "the long run runs" });
  return { session, long, short, seconds };
}

describe("while a run has the only slot", () => {
  sandboxTest(
    "the next four have their sandboxes, each of which ends with its run, and no collection takes them",
    async () => {
      const { session, long, short } = await begin();
      await are(5);
      expect(JSON.parse(collectGarbage())).toMatchObject({ ended: [], failures: [] });
      const before = made();
      await ask(setup.server, session.id, cancel(short[0] as string));
      await until(() => made().length === 5 && made().filter((id) => before.includes(id)).length === 4, {
        what: "that of the cancelled run has ended, and the next run has one",
      });
      const { jobs } = (await ask(setup.server, session.id, status())).metadata;
      expect(jobs.filter(({ state }) => state === "queued")).toHaveLength(5);
      await ask(setup.server, session.id, cancel(long));
      const { finished } = (await ask(setup.server, session.id, wait({ jobs: short.slice(1) }))).metadata;
      expect(finished.map(({ result }) => result as string).toSorted()).toEqual([2, 3, 4, 5, 6].map((n) => `ran ${n}`));
      await are(0);
    },
  );

  sandboxTest("OpenCode may be killed: what it had made ahead ends, and every run runs", async () => {
    const { session, long, short, seconds } = await begin();
    await are(5);
    setup.server = await restart(setup.server, setup.home, "SIGKILL");
    const { finished } = (await ask(setup.server, session.id, wait({ jobs: [long, ...short] }))).metadata;
    expect(finished.map(({ state }) => state as string)).toEqual(Array(7).fill("completed"));
    await are(0);
    expect(commandsWith(seconds)).toEqual([]);
  });

  sandboxTest("OpenCode may reload: what it had made ahead ends, and every run runs", async () => {
    const { session, long, short } = await begin();
    await are(5);
    const before = made();
    must(await setup.server.client.instance.dispose());
    await until(() => made().filter((id) => before.includes(id)).length <= 1, {
      what: "at most that of the run is left",
    });
    const { finished } = (await ask(setup.server, session.id, wait({ jobs: [long, ...short] }))).metadata;
    expect(finished.map(({ state }) => state as string)).toEqual(Array(7).fill("completed"));
    await are(0);
  });
});
