import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { SessionEvent } from "../../src/core/ports.ts";
import { DEFAULT_AGENT } from "../../src/core/task.ts";
import { JOB_TOOLS } from "../../src/hosts/shared/job-tools.ts";
import { call, say, script } from "../support/scripted.ts";
import { until } from "../support/wait.ts";
import { type HostUnderTest, useHost } from "./host-under-test.ts";

/** What the domain needs of any host. An adapter's test file is one call of this. */
export function hostContract(name: string, open: () => Promise<HostUnderTest>): void {
  const { host, newFile, release, requestsOf, hears, says, kindsHeard, ...on } = useHost(open);
  const { openChild, request, reaches, ends, turn, rests, userTurn, trace, traces } = on;

  describe(`${name}: a child session`, () => {
    for (const agent of ["its own agent", "an agent that has all tools"]) {
      const agentName = () => (agent === "its own agent" ? DEFAULT_AGENT : host().unrestrictedAgent);

      test(`offers its model only the tools of jobs, without the forbidden ones, prompted as ${agent}`, async () => {
        const { child } = await openChild(["sandbox_exec"]);
        const text = script(say("ok"));
        await turn(child, text, agentName());
        const [asked] = requestsOf(text);
        expect(asked?.tools).toContain("sandbox_read");
        expect(asked?.tools.filter((tool) => !JOB_TOOLS.includes(tool))).toEqual([]);
        expect(asked?.tools).not.toContain("sandbox_exec");
      });

      test(`runs no tool of the host that its model calls, prompted as ${agent}`, async () => {
        const { child } = await openChild();
        const file = newFile();
        const { name: tool, args } = host().writingCall(file);
        const { messages } = await turn(child, script(call(tool, args), say("after")), agentName());
        expect([messages.at(-1)?.text, existsSync(file)]).toEqual(["after", false]);
      });
    }

    test("runs a tool of jobs, which learns who calls", async () => {
      const { child } = await openChild();
      const text = script(call("sandbox_exec", {}), say("ok"));
      await turn(child, text);
      const facts = JSON.parse(requestsOf(text)[1]?.toolResults[0] ?? "null");
      expect(facts).toMatchObject({ sessionID: child, agent: DEFAULT_AGENT, model: "mock/m1" });
      for (const fact of ["messageID", "callID", "directory"]) expect(facts[fact]).toMatch(/./);
    });

    test("runs a prompt under the id of the domain, and a repeated prompt only once", async () => {
      const { child } = await openChild();
      const first = request(child, script(say("first")));
      await host().sessions.prompt(first);
      const { messages, tokens, usd } = await ends(child, first.messageID);
      expect(messages[0]).toMatchObject({ id: first.messageID, role: "user" });
      expect(messages.at(-1)).toMatchObject({ role: "assistant", text: "first", finish: "stop", error: null });
      expect(tokens).toEqual({ input: 100, output: 10, cached: 0, reasoning: 0 });
      expect(usd).toBeCloseTo(0.00012);
      await host().sessions.prompt(first);
      const second = request(child, script(say("second")));
      await host().sessions.prompt(second);
      const after = await ends(child, second.messageID);
      expect(after.messages.map(({ id }) => id)).not.toContain(first.messageID);
      expect(after.messages.at(-1)?.text).toBe("second");
      expect(requestsOf(first.text)).toHaveLength(1);
    });

    test("shows what its model failed with", async () => {
      const { child } = await openChild();
      const failure = { status: 400, body: { error: { message: "no such luck" } } };
      const { messages } = await turn(child, script(failure));
      expect(messages.at(-1)?.error?.message).toContain("no such luck");
      await hears("the error is heard", (event) => event.kind === "error" && event.sessionID === child);
    });

    test("shows and reports that a model request is repeated", async () => {
      const { child } = await openChild();
      const prompt = request(child, script({ status: 500 }));
      await host().sessions.prompt(prompt);
      await reaches(child, prompt.messageID, "the request is repeated", ({ activity }) => activity === "retrying");
      const retry = await hears("the retry is heard", (event) => event.kind === "retry" && event.sessionID === child);
      expect(retry).toMatchObject({ attempt: 1, nextAt: expect.any(Number), message: expect.any(String) });
      await host().sessions.abort(child);
      await ends(child, prompt.messageID);
    });

    test("comes to rest when it is aborted, in a model request or in a tool", async () => {
      const hold = newFile();
      for (const reply of [{ hang: true } as const, call("sandbox_exec", { hold })]) {
        const { child } = await openChild();
        const prompt = request(child, script(reply));
        await host().sessions.prompt(prompt);
        await until(() => requestsOf(prompt.text).length > 0, { what: "the model is asked" });
        const isTool = (event: SessionEvent) => event.kind === "tool" && event.sessionID === child && event.running;
        if (!("hang" in reply)) await hears("the tool runs", isTool);
        expect((await host().sessions.read(child, prompt.messageID)).activity).toBe("busy");
        await host().sessions.abort(child);
        expect((await ends(child, prompt.messageID)).messages.at(-1)?.error).not.toBeNull();
        await host().sessions.abort(child); // no-op on an idle session
      }
      release(hold);
    });

    test("reads what it is told while it works at its next step", async () => {
      const { child } = await openChild();
      const hold = newFile();
      const prompt = request(child, script(call("sandbox_exec", { hold })));
      await host().sessions.prompt(prompt);
      await hears("the tool runs", (event) => event.kind === "tool" && event.sessionID === child && event.running);
      const told = request(child, script(say("understood")));
      await host().sessions.tell(told);
      expect(requestsOf(told.text)).toEqual([]);
      release(hold);
      expect((await ends(child, prompt.messageID)).messages.at(-1)?.text).toBe("understood");
    });

    test("is heard while it works, and when it or its orchestrator is deleted", async () => {
      const { orchestrator, child } = await openChild();
      await turn(child, script(call("sandbox_exec", {}), say("ok")));
      for (const kind of ["progress", "tool", "output", "step", "touched"] as const)
        await until(() => kindsHeard(child).has(kind), { what: `${kind} is heard` });
      await host().deleteSession(orchestrator);
      for (const id of [child, orchestrator])
        await hears("the deletion is heard", ({ kind, sessionID }) => kind === "deleted" && sessionID === id);
    });

    test("cannot be read or prompted when it does not exist", async () => {
      const unknown = "ses_000000000000AAAAAAAAAAAAAA";
      await expect(host().sessions.read(unknown, "msg_0")).rejects.toMatchObject({ code: "prompt_failed" });
      await expect(host().sessions.prompt(request(unknown, "x"))).rejects.toMatchObject({ code: "prompt_failed" });
    });
  });

  describe(`${name}: an orchestrator's session`, () => {
    const message = (messageID: string) => ({ kind: "message", messageID, at: Date.now(), tries: 1 }) as const;

    test("that is idle answers a posted message, and a repeated one only once", async () => {
      const sessionID = await host().createSession();
      await userTurn(sessionID, script(say("ready")));
      const post = { sessionID, messageID: host().newMessageID(), text: script(say("noted")) };
      expect(await trace(sessionID, message(post.messageID))).toBe("absent");
      await host().orchestrators.post(post);
      await traces(sessionID, message(post.messageID), "arrived");
      await rests(sessionID);
      await host().orchestrators.post(post);
      await userTurn(sessionID, script(say("go on")));
      expect(requestsOf(post.text)).toHaveLength(1);
      expect(await host().orchestrators.view(sessionID, [])).toMatchObject({ busy: false, stoppedAt: null });
    });

    test("that is busy takes a posted message up at its next step", async () => {
      const sessionID = await host().createSession();
      const hold = newFile();
      await host().write(sessionID, script(call("probe_progress", { text: "busy", hold })));
      await until(async () => (await host().reports()).some((line) => line.includes(sessionID)), {
        what: "the tool runs",
      });
      const post = { sessionID, messageID: host().newMessageID(), text: script(say("noted")) };
      await host().orchestrators.post(post);
      await traces(sessionID, message(post.messageID), "unanswered");
      const view = await host().orchestrators.view(sessionID, []);
      expect([view.busy, view.newestMessageID]).toEqual([true, post.messageID]);
      release(hold);
      await traces(sessionID, message(post.messageID), "arrived");
      await rests(sessionID);
    });

    test("shows whether a tool's answer has reached it, and that the user stopped the turn", async () => {
      const sessionID = await host().createSession();
      const begin = async () => {
        const before = (await host().reports()).length;
        const hold = newFile();
        await host().write(sessionID, script(call("probe_progress", { text: "working", hold }), say("done")));
        const line = await until(async () => (await host().reports())[before], { what: "the tool runs" });
        const [, , messageID = "", callID = ""] = line.split(" ");
        const delivery = { kind: "call", messageID, callID, at: Date.now() } as const;
        await traces(sessionID, delivery, "open");
        return { hold, delivery };
      };
      const first = await begin();
      release(first.hold);
      await traces(sessionID, first.delivery, "arrived");
      await rests(sessionID);
      const second = await begin();
      await host().stopTurn(sessionID);
      await traces(sessionID, second.delivery, "lost");
      release(second.hold);
      await until(async () => (await host().orchestrators.view(sessionID, [])).stoppedAt, { what: "the stop is seen" });
      expect(await trace(sessionID, { ...first.delivery, callID: "call_none" })).toBe("absent");
    });
  });

  describe(`${name}: a tool's call`, () => {
    test("shows its progress to people and not to the model, and removes it", async () => {
      const sessionID = await host().createSession();
      const hold = newFile();
      const text = script(call("probe_progress", { text: "half way there", hold }), say("ok"));
      await host().write(sessionID, text);
      const isShown = async () => (await host().shown(sessionID)).includes("Progress: half way there");
      await until(isShown, { what: "the progress is shown" });
      release(hold);
      await until(() => requestsOf(text).length === 2, { what: "the model goes on" });
      expect(JSON.stringify(requestsOf(text)[1]?.raw)).not.toContain("Progress:");
      await until(async () => !(await isShown()), { what: "the progress is removed" });
    });

    const asks = async (permission: string) => {
      const sessionID = await host().createSession();
      const pattern = `question ${newFile()}`;
      await host().write(sessionID, script(call("probe_ask", { permission, pattern }), say("ok")));
      return { sessionID, pattern };
    };

    test("is allowed a permission that no rule names, and refused one that a rule denies", async () => {
      const free = await asks("probe_free");
      const denied = await asks("probe_denied");
      await says(`${free.pattern} allowed`);
      await says(`${denied.pattern} refused`);
    });

    test("follows the user's answer where a rule asks", async () => {
      const allowed = await asks("probe_asked");
      const refused = await asks("probe_asked");
      await host().answer(allowed.sessionID, "allow");
      await host().answer(refused.sessionID, "refuse");
      await says(`${allowed.pattern} allowed`);
      await says(`${refused.pattern} refused`);
    });

    test("cannot ask once its turn is stopped", async () => {
      const { sessionID, pattern } = await asks("probe_asked");
      await host().asked(sessionID);
      await host().stopTurn(sessionID);
      await says(`${pattern} cannot_ask`);
    });
  });

  test(`${name}: the catalog names the worker, the models and the plugin's skills`, async () => {
    const { agents, models, skills } = await host().catalog();
    expect(agents.map(({ name }) => name)).toContain(DEFAULT_AGENT);
    expect(models.has("mock/m1")).toBe(true);
    expect(skills.map(({ name }) => name)).toContain("parallel-agents");
  });
}
