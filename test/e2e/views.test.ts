import { expect } from "bun:test";
import { openLab } from "../../src/lab/open-lab.ts";
import { systemClock } from "../../src/shared/clock.ts";
import type { JobView } from "../../src/views/job-view.ts";
import { sandboxTest, uniqueSeconds } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { start, status, task, turn } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

/* What a program beside OpenCode, such as the dashboard, sees of jobs, and what it may have done. */

const setup = useProject({ environments: { default: { workspace: "project" } } });

sandboxTest(
  "a view in another process shows what jobs do, and has them cancelled, messaged and collected",
  async () => {
    const { server, home } = setup;
    const { id } = await server.createSession();
    const [forRun, forAgent] = [uniqueSeconds(), uniqueSeconds()];
    await turn(
      server,
      id,
      start(
        { description: "trains", command: `echo first; echo loss 0.5; sleep ${forRun}` },
        task("works", call("sandbox_exec", { command: `echo from the agent; sleep ${forAgent}` }), say("never said")),
        task("is done", call("sandbox_write", { path: "new.txt", content: "new\n" }), say("done")),
      ),
    );
    const lab = await openLab({ stateDir: home.stateDir, clock: systemClock });
    try {
      let heard = 0;
      lab.watch(id, 100, () => heard++);
      const jobs = (): Readonly<Record<string, JobView>> =>
        Object.fromEntries((lab.view(id)?.jobs ?? []).map((job) => [job.description, job]));
      await until(
        () => {
          const { trains, works, "is done": done } = jobs();
          return trains?.line === "loss 0.5" && works?.line === "from the agent" && done?.state === "completed";
        },
        { what: "the view shows commands and their newest lines", seen: jobs },
      );
      expect(heard).toBeGreaterThan(0);
      expect(lab.view(id)).toMatchObject({ isLive: true, problems: [] });
      expect(jobs().trains?.command).toBe(`echo first; echo loss 0.5; sleep ${forRun}`);
      expect(jobs().works).toMatchObject({ tool: "sandbox_exec", command: `echo from the agent; sleep ${forAgent}` });

      const [run, agent, done] = ["trains", "works", "is done"].map((name) => jobs()[name]?.id ?? "");
      const cancelled = await lab.ask(id, { kind: "cancel", jobs: [run ?? "", agent ?? ""] });
      expect(cancelled).toMatchObject({ kind: "done" });
      expect(jobs().trains).toMatchObject({
        state: "cancelled",
        error: { message: expect.stringContaining("by the user") },
      });
      const collected = await lab.ask(id, { kind: "collect", job: done ?? "", mode: "branch" });
      expect(collected).toMatchObject({ kind: "done", text: expect.stringContaining(`agents/${done}`) });
      expect(await lab.ask(id, { kind: "snapshot", job: done ?? "", label: "fine" })).toMatchObject({ kind: "done" });
      expect(lab.view(id)?.snapshots).toMatchObject([{ label: "fine" }]);
      // The orchestrator hears of it.
      const [told] = await turn(server, id, status());
      expect(told?.output).toContain("by the user, in a view of the jobs");
      expect(told?.output).toContain("The user collected its work");
    } finally {
      lab.close();
    }
  },
);
