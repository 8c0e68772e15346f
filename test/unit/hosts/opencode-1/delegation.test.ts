import { expect, test } from "bun:test";
import { createDelegation } from "../../../../src/hosts/opencode-1/delegation.ts";
import { type HostAgentInfo, isInternal } from "../../../../src/hosts/opencode-1/host-agents.ts";
import { type PermissionRule, toRules } from "../../../../src/hosts/opencode-1/permission-rules.ts";

const offers = async (ofAgent: object, ofSession: object = {}, tools?: Record<string, boolean>) => {
  const permission: PermissionRule[] = [...toRules("allow"), ...toRules(ofAgent)];
  const session = { get: async () => ({ data: { id: "ses_1", agent: "lead", permission: toRules(ofSession) } }) };
  const delegation = createDelegation({ session } as never, async () => [
    { name: "lead", permission } as unknown as HostAgentInfo,
  ]);
  const info = { sessionID: "ses_1", role: "user", agent: "lead", ...(tools && { tools }) };
  delegation.learn([{ info: { ...info, agent: "former" } }, { info }, { info: { ...info, role: "assistant" } }]);
  return delegation.isOffered("ses_1");
};

test.each<[string, boolean, object, object?, Record<string, boolean>?]>([
  ["no rule at all", true, {}],
  ["a denial of the tool", false, { agents_start: "deny" }],
  ["a denial of all tools of delegating", false, { "agents_*": "deny" }],
  ["a denial of everything", false, { "*": "deny" }],
  ["a denial of everything else", true, { "*": "deny", "agents_*": "allow" }],
  ["a question before each call", true, { agents_start: "ask" }],
  ["a denial of some agents only", true, { agents_start: { build: "deny" } }],
  ["a denial by the session", false, {}, { "agents_?tart": "deny" }],
  ["a session that lifts the agent's denial", true, { agents_start: "deny" }, { agents_start: "allow" }],
  ["a message that switches the tool off", false, {}, {}, { agents_start: false }],
])("with %s: %p", async (_what, expected, ofAgent, ofSession, tools) => {
  expect(await offers(ofAgent, ofSession, tools)).toBe(expected);
});

test("a session is as it was when its model was last asked, until the model is asked again", async () => {
  let title = "one";
  const session = { get: async () => ({ data: { id: "ses_1", title } }) };
  const delegation = createDelegation({ session } as never, async () => []);
  const ask = async () => {
    delegation.learn([{ info: { sessionID: "ses_1", role: "user" } }]);
    await delegation.isOffered("ses_1");
  };
  await ask();
  title = "two";
  expect((await delegation.askedAs("ses_1")).title).toBe("one");
  await ask();
  expect((await delegation.askedAs("ses_1")).title).toBe("two");
});

test("agents for OpenCode's own use are internal, and those that neither users nor models can choose", () => {
  const internal = (name: string, mode: string, hidden?: boolean) =>
    isInternal({ name, mode, hidden } as HostAgentInfo);
  for (const name of ["compaction", "title", "summary"]) expect(internal(name, "primary", false)).toBe(true);
  expect(internal("mine", "primary", true)).toBe(true);
  expect([internal("build", "primary"), internal("mine", "subagent", true), internal("mine", "all", true)]).toEqual([
    false,
    false,
    false,
  ]);
});
