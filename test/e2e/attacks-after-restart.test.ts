import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Session } from "@opencode-ai/sdk/v2/client";
import { ALLOW_ALL, expectStoppedByGuard, http, promptForHost, shellOnHost } from "../support/attack-http.ts";
import {
  type AttackSetup,
  allToolParts,
  breaches,
  type DoneJob,
  delegate,
  startAttackSetup,
  whyNoSandbox,
} from "../support/attack-setup.ts";
import { restart } from "../support/opencode.ts";
import { call, say, script } from "../support/scripted.ts";

const why = await whyNoSandbox();

describe.skipIf(why !== null)(`a job's session after a restart of OpenCode${why ? ` (skipped: ${why})` : ""}`, () => {
  let setup: AttackSetup;
  /** A session known only by its metadata, one whose metadata, title and rules were rewritten, and a child of the second. */
  let marked: DoneJob;
  let wiped: DoneJob;
  let below: Session;
  let ordinary: Session;
  beforeAll(async () => {
    setup = await startAttackSetup();
    marked = await delegate(setup, [call("sandbox_exec", { command: "true" })]);
    wiped = await delegate(setup, [call("sandbox_exec", { command: "true" })]);
    const rewritten = { metadata: {}, title: "innocent", permission: ALLOW_ALL };
    await http(setup, "PATCH", `/session/${wiped.child.id}`, rewritten);
    below = await setup.server.createSession({ parentID: wiped.child.id });
    ordinary = await setup.server.createSession({ parentID: wiped.orchestrator });
    setup.server = await restart(setup.server, setup.home);
  });
  afterAll(() => setup?.stop());

  const sessions = () => ({ marked: marked.child.id, wiped: wiped.child.id, below: below.id });
  const tools = { bash: true, host_touch: true, hostly: true };

  for (const which of ["below", "wiped", "marked"] as const) {
    test(`the shell endpoint and a prompt with everything allowed run nothing (${which})`, async () => {
      const id = sessions()[which];
      expect((await shellOnHost(setup, id)).status).toBe(500);
      if (which === "wiped") {
        expect(await promptForHost(setup, id)).toMatchObject({ status: 200 });
        await expectStoppedByGuard(setup, id);
      }
      expect(await promptForHost(setup, id, { tools })).toMatchObject({ status: 200 });
      await expectStoppedByGuard(setup, id);
    });
  }

  test("still answers for a job whose session was rewritten", async () => {
    const { orchestrator, child, id: job } = wiped;
    const bash = call("bash", { command: `touch ${setup.ran.path("again")}`, description: "x" });
    const message = script(call("sandbox_exec", { command: "echo again" }), bash, say("again"));
    const turn = script(call("agents_message", { job, message }), call("agents_wait", {}), say("ok"));
    await setup.server.prompt(orchestrator, turn, { agent: "build" });
    const [ran, refused] = (await allToolParts(setup, child.id)).slice(-2);
    expect(JSON.stringify(ran?.state)).toContain("again\\n[exit code 0]");
    expect(refused).toMatchObject({ tool: "bash", state: { status: "error" } });
    expect(breaches(setup)).toEqual([]);
  });

  test("control: an ordinary session beside them runs on the host", async () => {
    expect(await promptForHost(setup, ordinary.id)).toMatchObject({ status: 200 });
    expect(await shellOnHost(setup, ordinary.id)).toMatchObject({ status: 200 });
    expect(setup.ran.names()).toEqual(["bash", "hostly", "mcp_touch", "shell"]);
  });
});
