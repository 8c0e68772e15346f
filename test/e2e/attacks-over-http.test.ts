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
import {
  type AttackSetup,
  breaches,
  delegate,
  JOB_TOOLS,
  startAttackSetup,
  whyNoSandbox,
} from "../support/attack-setup.ts";
import { call, say, script } from "../support/scripted.ts";

const why = await whyNoSandbox();
const skipped = why ? ` (skipped: ${why})` : "";

describe.skipIf(why !== null)(`a job's session that clients of the HTTP API lead to the host${skipped}`, () => {
  let setup: AttackSetup;
  let child: Session;
  beforeAll(async () => {
    setup = await startAttackSetup();
  });
  afterAll(() => setup?.stop());
  beforeEach(async () => {
    setup.ran.clear();
    // Ended and parked: every attack meets a session whose job is over, which is when people look into it.
    child = (await delegate(setup, [call("sandbox_exec", { command: "true" })])).child;
  });
  afterEach(() => expect(breaches(setup)).toEqual([]));

  const prompt = (sessionID: string, body: object = {}) => promptForHost(setup, sessionID, body);
  const shell = (sessionID: string) => shellOnHost(setup, sessionID);
  const lastTools = () => [...(setup.model.requests.at(-1)?.tools ?? [])].sort();

  test("control: the same requests run on the host in an ordinary session, also in a child of the orchestrator", async () => {
    const parent = child.parentID as string;
    const session = await setup.server.createSession({ parentID: parent });
    for (const id of [session.id, parent]) {
      expect(await prompt(id)).toMatchObject({ status: 200 });
      expect(await shell(id)).toMatchObject({ status: 200 });
      expect(setup.ran.names()).toEqual(["bash", "hostly", "mcp_touch", "shell"]);
      setup.ran.clear();
    }
  });

  test("runs nothing through the shell endpoint", async () => {
    expect((await shell(child.id)).status).toBe(500);
  });

  test("keeps its tools and its system text when prompted as another agent", async () => {
    for (const agent of ["build", "free", "general", "plan"]) {
      expect(await prompt(child.id, { agent })).toMatchObject({ status: 200 });
      expect(lastTools()).toEqual(JOB_TOOLS);
      expect(setup.model.requests.at(-1)?.system).toStartWith("You are an agent working alone");
    }
    expect((await hostCalls(setup, child.id)).map(({ state }) => `${state.status}`)).toEqual(Array(12).fill("error"));
  });

  test("stops tools that became visible through `tools` in the prompt, which removes its rules", async () => {
    expect(await prompt(child.id, { tools: { bash: true, host_touch: true, hostly: true } })).toMatchObject({
      status: 200,
    });
    expect(lastTools()).toContain("bash"); // layer 2 is down
    await expectStoppedByGuard(setup, child.id);
  });

  test("starts no subagent for a subtask in the prompt", async () => {
    const subtask = { type: "subtask", agent: "general", description: "d", prompt: script(say("sub")) };
    const sibling = await setup.server.createSession({ parentID: child.parentID as string });
    for (const id of [sibling.id, child.id]) {
      await http(setup, "POST", `/session/${id}/message`, { agent: "build", parts: [subtask] });
    }
    expect(await setup.server.children(sibling.id)).toHaveLength(1); // in an ordinary session it does
    expect(await setup.server.children(child.id)).toEqual([]);
  });

  test("gets neither files nor output of the host from a command", async () => {
    const before = setup.model.requests.length;
    const command = { agent: "build", command: "leak", arguments: script(say("done")) };
    expect(await http(setup, "POST", `/session/${child.id}/command`, command)).toMatchObject({ status: 500 });
    expect(setup.model.requests).toHaveLength(before);
    // In an ordinary session the same command shows both.
    const session = await setup.server.createSession();
    expect(await http(setup, "POST", `/session/${session.id}/command`, command)).toMatchObject({ status: 200 });
    const seen = JSON.stringify(setup.model.requests.at(-1)?.raw);
    expect(seen).toContain(setup.canaries.home);
    expect(seen).toContain(setup.canaries.project);
  });

  test("gives its child sessions and its copies no more than it has", async () => {
    const below = await setup.server.createSession({ parentID: child.id });
    const { data: copy } = await setup.server.client.session.fork({ sessionID: child.id });
    for (const id of [below.id, copy?.id as string]) {
      expect(await prompt(id)).toMatchObject({ status: 200 });
      await expectStoppedByGuard(setup, id);
      expect((await shell(id)).status).toBe(500);
    }
  });

  test("is still recognised when its metadata is wiped and everything is allowed", async () => {
    await http(setup, "PATCH", `/session/${child.id}`, { metadata: {}, permission: ALLOW_ALL });
    expect(await prompt(child.id)).toMatchObject({ status: 200 });
    expect(lastTools()).toContain("bash");
    await expectStoppedByGuard(setup, child.id);
    expect((await shell(child.id)).status).toBe(500);
  });
});
