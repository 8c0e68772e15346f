import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { withModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import type { TestSetup } from "../support/test-setup.ts";
import { ask, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

/* A campaign goes on in another session of the project: from a snapshot by its id, with the whole difference collected. */

const local = useProject({ environments: { default: { workspace: "project" } } }, { files: { "base.txt": "base\n" } });

async function forkInLaterSession({ server, home }: TestSetup) {
  const first = await server.createSession();
  const wins = task("wins", shell("echo won > won.txt"), call("sandbox_snapshot", { label: "best" }), say("done"));
  const [, won] = await turn(server, first.id, start(wins), wait());
  const [winner] = won?.metadata.finished ?? [];
  const { snapshots } = (await ask(server, first.id, status())).metadata;
  const snapshot = snapshots[0]?.id ?? "";
  writeFileSync(join(home.project, "base.txt"), "changed since\n");

  const later = await server.createSession();
  const goesOn = task("goes on", shell("cat won.txt base.txt; echo more > more.txt"), say("done"));
  const [started, ended] = await turn(
    server,
    later.id,
    start(
      { ...goesOn, from: snapshot },
      { ...goesOn, from: "best" },
      { ...goesOn, from: winner?.id },
      { description: "checks", command: "cat won.txt", from: snapshot },
    ),
    wait(),
  );
  const jobs = started?.metadata.jobs ?? [];
  expect(jobs.map(({ error }) => error?.code)).toEqual([undefined, "invalid_task", "invalid_task", undefined]);
  const byID = new Map(ended?.metadata.finished.map((job) => [job.id, job]));
  expect(byID.get(jobs[3]?.id ?? "")).toMatchObject({ state: "completed", result: "won", parent: winner?.id });
  const fork = byID.get(jobs[0]?.id ?? "");
  expect(fork).toMatchObject({ state: "completed", parent: winner?.id });
  const collected = await ask(server, later.id, call("agents_collect", { job: fork?.id }));
  const { branch, base } = collected.metadata as unknown as { branch: string; base: string };
  expect(branch).toBe(`agents/${fork?.id}`);
  expect(home.git("diff", "--name-only", base, branch).split("\n")).toEqual(["more.txt", "won.txt"]);
  expect(home.git("show", `${base}:base.txt`)).toBe("base");
  const told = `${started?.output}${ended?.output}${collected.output}`;
  for (const secret of [first.id, "wins"]) expect(told).not.toContain(secret);
}

sandboxTest("a later session forks the winner by its snapshot's id and collects the whole difference, locally", () =>
  forkInLaterSession(local),
);

sandboxTest("a later session forks the winner on Modal, where a job's runs start from its own files too", () =>
  withModalSetup(
    { environments: { default: { workspace: "project" } }, maxRunningJobs: 2 },
    { files: { "base.txt": "base\n" } },
    async (setup) => {
      await forkInLaterSession(setup);
      const { server } = setup;
      const session = await server.createSession();
      const nested = start({ description: "run", command: "cat note" });
      const [, waited, seen] = await turn(
        server,
        session.id,
        start(task("tries", shell("echo mine > note"), nested, wait(), say("tried"))),
        wait(),
        status(),
      );
      const run = seen?.metadata.jobs.find(({ kind }) => kind === "run");
      const [job] = waited?.metadata.finished ?? [];
      expect(run).toMatchObject({ state: "completed", result: "mine", parent: job?.id, startedBy: job?.id });
    },
  ),
);
