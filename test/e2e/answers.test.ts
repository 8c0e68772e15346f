import { expect } from "bun:test";
import { sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { ask, message, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

/* What the real OpenCode keeps of a job's turns, and what its orchestrator gets of it. */

const setup = useProject();

sandboxTest("counts cached and reasoning tokens over all turns, and tells what a job cost", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const usage = { input: 1000, output: 100, cached: 600, reasoned: 30 };
  const [, first] = await turn(
    server,
    session.id,
    start(task("counts", { ...shell("true"), usage }, { ...say("counted"), usage })),
    wait(),
  );
  const [job] = first?.metadata.finished ?? [];
  expect(job?.tokens).toStrictEqual({ input: 800, output: 140, cached: 1200, reasoning: 60 });
  const cost = /cost \$(\d+\.\d+)/;
  expect(Number(cost.exec(first?.output ?? "")?.[1])).toBeCloseTo(job?.usd.model ?? 0, 3);

  const again = message(job?.id as string, script({ ...say("counted again"), usage }));
  const [, second] = await turn(server, session.id, again, wait());
  expect(second?.metadata.finished[0]?.tokens).toStrictEqual({ input: 1200, output: 210, cached: 1800, reasoning: 90 });
  expect((await ask(server, session.id, status())).output).toMatch(cost);
});
