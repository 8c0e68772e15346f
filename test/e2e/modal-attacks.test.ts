import { afterAll, beforeAll, beforeEach, expect } from "bun:test";
import { hostCallsOf, otherCallsOf } from "../support/attack-calls.ts";
import { ALLOW_ALL, expectStoppedByGuard, http, promptForHost, shellOnHost } from "../support/attack-http.ts";
import {
  type AttackSetup,
  allToolParts,
  breaches,
  delegate,
  JOB_TOOLS,
  jobRequests,
  startAttackSetup,
} from "../support/attack-setup.ts";
import { type ModalServerProcess, startModalServerProcess } from "../support/modal-server/own-process.ts";
import { noneLeft } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";

let modal: ModalServerProcess;
let setup: AttackSetup;

beforeAll(async () => {
  modal = await startModalServerProcess();
  setup = await startAttackSetup({}, { env: { ...modal.env } });
});

afterAll(async () => {
  await setup?.stop();
  await modal?.stop();
});

beforeEach(() => setup.ran.clear());

sandboxTest("control: an ordinary session runs these calls on the host", async () => {
  const session = await setup.server.createSession();
  await setup.server.prompt(session.id, script(...hostCallsOf(setup), say("done")), { agent: "build" });
  const parts = await allToolParts(setup, session.id);
  expect(parts.map(({ state }) => `${state.status}`)).toEqual(hostCallsOf(setup).map(() => "completed"));
  expect(setup.ran.names()).toEqual(["bash", "edit", "hostly", "mcp_touch", "write"]);
});

for (const agent of ["sandbox_worker", "free", "build"]) {
  sandboxTest(`refuses every tool of the host to a job of agent ${agent}, and shows it none`, async () => {
    const calls = [...hostCallsOf(setup), ...otherCallsOf(setup)];
    const before = { hits: setup.web.hits(), requests: jobRequests(setup).length };
    const { child, parts } = await delegate(setup, calls, { agent });
    expect(parts).toHaveLength(calls.length);
    expect(parts.filter(({ state }) => state.status !== "error").map(({ tool }) => tool)).toEqual([]);
    expect(setup.ran.names()).toEqual([]);
    expect(setup.web.hits()).toBe(before.hits);
    for (const { tools } of jobRequests(setup).slice(before.requests)) expect([...tools].sort()).toEqual(JOB_TOOLS);
    expect(await setup.server.children(child.id)).toEqual([]);
  });
}

sandboxTest(
  "stops a job's session that was led to the host over HTTP; runs nothing through the shell endpoint",
  async () => {
    const { child } = await delegate(setup, [call("sandbox_exec", { command: "true" })]);
    expect((await shellOnHost(setup, child.id)).status).toBe(500);
    expect(
      (await promptForHost(setup, child.id, { tools: { bash: true, host_touch: true, hostly: true } })).status,
    ).toBe(200);
    await expectStoppedByGuard(setup, child.id);
    expect((await http(setup, "PATCH", `/session/${child.id}`, { permission: ALLOW_ALL })).status).toBe(200);
    expect((await promptForHost(setup, child.id)).status).toBe(200);
    await expectStoppedByGuard(setup, child.id);
  },
);

sandboxTest("refuses a job's tools outside a job", async () => {
  const session = await setup.server.createSession();
  const calls = [
    call("sandbox_exec", { command: `touch ${setup.ran.path("exec")}` }),
    call("sandbox_process", { process: "p1" }),
    call("sandbox_read", { path: `${setup.home.home}/canary.txt` }),
    call("sandbox_write", { path: setup.ran.path("written"), content: "x" }),
    call("sandbox_edit", { path: `${setup.home.home}/canary.txt`, old_string: "c", new_string: "d" }),
    call("job_report", { status: "x" }),
  ];
  await setup.server.prompt(session.id, script(...calls, say("done")), { agent: "free" });
  const parts = await allToolParts(setup, session.id);
  expect(parts).toHaveLength(calls.length);
  for (const { state } of parts) {
    expect(state).toMatchObject({ status: "completed", metadata: { error: { code: "not_found" } } });
  }
  expect(JSON.stringify(parts)).not.toContain(setup.canaries.home);
  expect(setup.ran.names()).toEqual([]);
});

sandboxTest("shows a job and its model no file, variable, credential or server of the host", async () => {
  const { parts } = await delegate(setup, [
    call("sandbox_exec", { command: "env; cat /proc/self/environ /proc/1/environ | tr '\\0' '\\n'" }),
    call("sandbox_exec", {
      command: `cat ${setup.home.home}/canary.txt ${setup.home.project}/secret.txt; ls -a / ~`,
    }),
    call("sandbox_exec", { command: `curl -sm 2 ${setup.web.url} || echo unreachable` }),
    call("sandbox_read", { path: `${setup.home.home}/canary.txt` }),
  ]);
  const seen = JSON.stringify([parts, jobRequests(setup).map(({ raw }) => raw)]);
  for (const secret of [...Object.values(setup.canaries), "as-test", "ak-test"]) expect(seen).not.toContain(secret);
  expect(JSON.stringify(parts[2])).toContain("unreachable");
  expect(breaches(setup).filter((breach) => !breach.includes("server was asked"))).toEqual([]);
  expect(setup.web.hits()).toBe(1); // the ordinary session's
  await noneLeft(modal);
});
