import { expect } from "bun:test";
import { HOLD, holders, openGates, sandboxTest } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { answerOf, ask, shell, start, status, task, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

/* Jobs that OpenCode's own subagents start. */

const setup = useProject();

const subagent = (prompt: string, more: object = {}) =>
  call("task", { description: "a part", prompt, subagent_type: "general", ...more });

sandboxTest(
  "jobs of a subagent pass to the session above it when it ends, and it sees them again when it is resumed",
  async () => {
    const { server, home } = setup;
    const { id: main } = await server.createSession();
    const held = task("held", shell(HOLD), say("result of the part"));
    await server.prompt(main, script(subagent(script(start(held), status(), say("left it"))), say("on")));
    const [below] = (await server.children(main)).filter(({ title }) => title.includes("a part"));
    const sub = below?.id as string;
    const answers = async (tool: string) => (await server.toolParts(sub, tool)).map(answerOf);
    const jobID = (await answers("agents_start"))[0]?.metadata.jobs[0]?.id as string;
    expect((await answers("agents_status"))[0]?.metadata.jobs.map(({ id }) => id)).toEqual([jobID]);

    const above = await ask(server, main, status());
    expect(above.metadata.jobs.map(({ id }) => id)).toEqual([jobID]);
    const stranger = await server.createSession();
    expect((await ask(server, stranger.id, status(jobID))).metadata.error).toMatchObject({ code: "not_found" });
    await server.prompt(main, script(subagent(script(status(), say("seen")), { task_id: sub }), say("on")));
    expect((await answers("agents_status")).at(-1)?.metadata.jobs.map(({ id }) => id)).toEqual([jobID]);

    await until(() => holders(home).length === 1, { what: "it holds" });
    const before = (await server.messages(sub)).length;
    openGates(home);
    await until(async () => JSON.stringify(await server.messages(main)).includes("\\nresult of the part\\n"), {
      what: "the session above is told",
    });
    await server.whenIdle(main);
    expect((await server.messages(sub)).length).toBe(before);
    const { metadata } = await ask(server, main, wait({ jobs: [jobID] }));
    expect(metadata.finished).toMatchObject([{ id: jobID, state: "completed", result: "result of the part" }]);
  },
);
