import { expect } from "bun:test";
import { join } from "node:path";
import { must, restart } from "../support/opencode.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { startSetup } from "../support/test-setup.ts";
import { ask, message, shell, start, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

sandboxTest("jobs run in an instance of their own, without snapshots, and wake there after a kill", async () => {
  const setup = await startSetup({ provider: "local", jobSessions: "own" }, { snapshot: true });
  const { home } = setup;
  const session = await setup.server.createSession();
  const first = start(task("one", shell("echo hi > file"), say("first")));
  const [, waited] = await turn(setup.server, session.id, first, wait());
  const [job] = waited?.metadata.finished ?? [];
  expect(job).toMatchObject({ state: "completed", result: "first" });
  const sessionID = job?.sessionID ?? "";
  const child = must(await setup.server.client.session.get({ sessionID }));
  expect(child.directory).toBe(join(home.project, ".git"));
  const snapshotsOf = async (id: string) =>
    (await setup.server.messages(id)).flatMap(({ parts }) =>
      parts.flatMap((part) => (part.type === "step-start" ? [part.snapshot ?? "none"] : [])),
    );
  expect(new Set(await snapshotsOf(sessionID))).toEqual(new Set(["none"]));
  expect(await snapshotsOf(session.id)).not.toContain("none");
  expect(home.git("status", "--porcelain")).toBe("");

  setup.server = await restart(setup.server, home, "SIGKILL");
  await ask(setup.server, session.id, message(job?.id ?? "", script(shell("cat file"), say("second"))));
  const again = await ask(setup.server, session.id, wait());
  expect(again.metadata.finished).toMatchObject([{ id: job?.id, state: "completed", result: "second", sessionID }]);
  expect(new Set(await snapshotsOf(sessionID))).toEqual(new Set(["none"]));
  await setup.stop();
});

sandboxTest("a job in an instance of its own goes on when OpenCode reloads its configuration", async () => {
  const setup = await startSetup({ provider: "local", jobSessions: "own" }, { snapshot: true });
  const { server, model, home } = setup;
  const session = await server.createSession();
  await ask(server, session.id, start(task("one", shell("sleep 600", { timeout_seconds: 900 }), say("it went on"))));
  const seen = () => model.requests.map(({ messages }) => JSON.stringify(messages.at(-1)?.content));
  await until(async () => (await server.messages(session.id)).length > 0 && model.requests.length >= 3, {
    what: "the job's model was asked",
    seen,
  });
  await server.whenIdle(session.id);
  await server.events.close();
  const { origin } = new URL(server.url);
  await fetch(`${origin}/config?directory=${encodeURIComponent(home.project)}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: "reloaded" }),
  });
  await until(() => seen().some((text) => text.includes("[parallel agents]") && text.includes("it went on")), {
    what: "the orchestrator was told",
    seen,
  });
  await setup.stop();
});
