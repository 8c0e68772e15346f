import { expect } from "bun:test";
import { sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { start, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

/* How often the model of an orchestrator is asked, whatever the number of runs that it starts. */

const setup = useProject({ maxRunningJobs: 16 });

const RUNS = 40;
const sweep = {
  description: "sweep",
  command: 'echo "METRIC loss=$N"',
  matrix: { N: Array.from({ length: RUNS }, (_, n) => n) },
};

/** Most requests that a model is sent from the start of a sweep to the news of all its ends, without its title. */
const MOST = 6;

sandboxTest("an orchestrator that starts many runs and waits is told all their numbers in one answer", async () => {
  const { server, model } = setup;
  const before = model.requests.length;
  const session = await server.createSession();
  const [, waited] = await turn(server, session.id, start(sweep), wait());
  expect(waited?.metadata.finished).toHaveLength(RUNS);
  for (let n = 0; n < RUNS; n++) expect(waited?.output).toContain(`loss ${n} `);
  await server.whenIdle(session.id);
  expect(model.requests.length - before).toBeLessThanOrEqual(MOST);
});

sandboxTest("an orchestrator that ends its turn is woken once, when the last of its runs has ended", async () => {
  const { server, model } = setup;
  const before = model.requests.length;
  const session = await server.createSession();
  await server.prompt(session.id, script(start(sweep), say("done")));
  const told = async () =>
    (await server.messages(session.id)).flatMap(({ info, parts }) =>
      info.role === "user" ? parts.flatMap((part) => (part.type === "text" ? part.text : [])) : [],
    );
  await until(async () => (await told()).some((text) => text.includes(`${RUNS} runs of one call have ended`)), {
    what: "it is told",
  });
  await server.whenIdle(session.id);
  expect((await told()).length).toBe(2);
  expect(model.requests.length - before).toBeLessThanOrEqual(MOST);
});
