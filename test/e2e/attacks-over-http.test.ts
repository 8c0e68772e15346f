import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { Session } from "@opencode-ai/sdk/v2/client";
import {
  ALLOW_ALL,
  expectStoppedByGuard,
  hostCalls,
  http,
  promptForHost,
  shellOnHost,
} from "../support/attack-http.ts";
import { type AttackLab, breaches, delegate, JOB_TOOLS, startAttackLab, whyNoSandbox } from "../support/attack-host.ts";
import { call, say, script } from "../support/scripted.ts";

const why = await whyNoSandbox();
const skipped = why ? ` (skipped: ${why})` : "";

describe.skipIf(why !== null)(`a job's session that clients of the HTTP API lead to the host${skipped}`, () => {
  let lab: AttackLab;
  let child: Session;
  beforeAll(async () => {
    lab = await startAttackLab();
  }, 240_000);
  afterAll(() => lab?.stop(), 240_000);
  beforeEach(async () => {
    lab.ran.clear();
    // Ended and parked: every attack meets a session whose job is over, which is when people look into it.
    child = (await delegate(lab, [call("sandbox_exec", { command: "true" })])).child;
  });
  afterEach(() => expect(breaches(lab)).toEqual([]));

  const prompt = (sessionID: string, body: object = {}) => promptForHost(lab, sessionID, body);
  const shell = (sessionID: string) => shellOnHost(lab, sessionID);
  const lastTools = () => [...(lab.model.requests.at(-1)?.tools ?? [])].sort();

  test("the same requests run on the host in an ordinary session, also in one that a job's parent has", async () => {
    const parent = child.parentID as string;
    const session = await lab.server.createSession({ parentID: parent });
    for (const id of [session.id, parent]) {
      expect(await prompt(id)).toMatchObject({ status: 200 });
      expect(await shell(id)).toMatchObject({ status: 200 });
      expect(lab.ran.names()).toEqual(["bash", "hostly", "mcp_touch", "shell"]);
      lab.ran.clear();
    }
  }, 240_000);

  test("the shell endpoint runs nothing", async () => {
    expect((await shell(child.id)).status).toBe(500);
  });

  test("prompted as another agent it keeps its tools and its system text", async () => {
    for (const agent of ["build", "free", "general", "plan"]) {
      expect(await prompt(child.id, { agent })).toMatchObject({ status: 200 });
      expect(lastTools()).toEqual(JOB_TOOLS);
      expect(lab.model.requests.at(-1)?.system).toStartWith("You are an agent working alone");
    }
    expect((await hostCalls(lab, child.id)).map(({ state }) => `${state.status}`)).toEqual(Array(12).fill("error"));
  });

  test("with `tools` in the prompt, which takes its rules away, the guard stops what has become visible", async () => {
    expect(await prompt(child.id, { tools: { bash: true, host_touch: true, hostly: true } })).toMatchObject({
      status: 200,
    });
    expect(lastTools()).toContain("bash"); // wall 2 is down
    await expectStoppedByGuard(lab, child.id);
  });

  test("a subtask in the prompt makes no subagent", async () => {
    const subtask = { type: "subtask", agent: "general", description: "d", prompt: script(say("sub")) };
    const sibling = await lab.server.createSession({ parentID: child.parentID as string });
    for (const id of [sibling.id, child.id]) {
      await http(lab, "POST", `/session/${id}/message`, { agent: "build", parts: [subtask] });
    }
    expect(await lab.server.children(sibling.id)).toHaveLength(1); // in an ordinary session it does
    expect(await lab.server.children(child.id)).toEqual([]);
  });

  test("a command brings it neither files nor output of the host", async () => {
    const before = lab.model.requests.length;
    const command = { agent: "build", command: "leak", arguments: script(say("done")) };
    expect(await http(lab, "POST", `/session/${child.id}/command`, command)).toMatchObject({ status: 500 });
    expect(lab.model.requests).toHaveLength(before);
    // In an ordinary session the same command shows both.
    const session = await lab.server.createSession();
    expect(await http(lab, "POST", `/session/${session.id}/command`, command)).toMatchObject({ status: 200 });
    const seen = JSON.stringify(lab.model.requests.at(-1)?.raw);
    expect(seen).toContain(lab.canaries.home);
    expect(seen).toContain(lab.canaries.project);
  });

  test("sessions below it and copies of it have no more than it has", async () => {
    const below = await lab.server.createSession({ parentID: child.id });
    const { data: copy } = await lab.server.client.session.fork({ sessionID: child.id });
    for (const id of [below.id, copy?.id as string]) {
      expect(await prompt(id)).toMatchObject({ status: 200 });
      await expectStoppedByGuard(lab, id);
      expect((await shell(id)).status).toBe(500);
    }
  });

  test("with its metadata wiped and everything allowed the guard still knows it", async () => {
    await http(lab, "PATCH", `/session/${child.id}`, { metadata: {}, permission: ALLOW_ALL });
    expect(await prompt(child.id)).toMatchObject({ status: 200 });
    expect(lastTools()).toContain("bash");
    await expectStoppedByGuard(lab, child.id);
    expect((await shell(child.id)).status).toBe(500);
  });
});
