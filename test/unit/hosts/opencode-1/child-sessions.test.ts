import { expect, test } from "bun:test";
import type { SessionEvent } from "../../../../src/core/ports.ts";
import { createChildSessions } from "../../../../src/hosts/opencode-1/child-sessions.ts";
import type { HostClient } from "../../../../src/hosts/opencode-1/host-client.ts";
import { inOne } from "../../../../src/hosts/opencode-1/job-instance.ts";
import { createEmitter } from "../../../../src/shared/emitter.ts";

/** Child sessions over a host that only notes what it is asked. */
function open() {
  const asked: string[] = [];
  const answer = (what: string, data: unknown) => async () => {
    asked.push(what);
    return { data };
  };
  const session = {
    create: answer("create", { id: "ses_1" }),
    get: answer("get", { id: "ses_1" }),
    promptAsync: answer("prompt", {}),
  };
  const events = createEmitter<SessionEvent>(() => {});
  const created: string[] = [];
  const sessions = createChildSessions(inOne({ session } as unknown as HostClient), events, async () => {}, {
    onFollowed: () => {},
    onCreated: (id) => created.push(id),
  });
  const create = () =>
    sessions.create({ orchestrator: "ses_o", jobID: "job_1", title: "t", agent: "a", forbidden: [] });
  const prompt = (sessionID: string) =>
    sessions.prompt({ sessionID, messageID: "msg_1", agent: "a", model: null, text: "hello" });
  return { asked, created, events, create, prompt };
}

test("a session that was just made is prompted at once; later it may have been undone or deleted, and is looked at", async () => {
  const { asked, created, create, prompt } = open();
  const id = await create();
  await prompt(id);
  expect([created, asked]).toEqual([["ses_1"], ["create", "prompt"]]);
  await prompt(id);
  expect(asked).toEqual(["create", "prompt", "get", "prompt"]);
});

test("a session that was deleted before its first prompt is looked at", async () => {
  const { asked, events, create, prompt } = open();
  const id = await create();
  events.emit({ kind: "deleted", sessionID: id });
  await prompt(id);
  expect(asked).toEqual(["create", "get", "prompt"]);
});
