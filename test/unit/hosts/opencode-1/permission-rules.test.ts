import { describe, expect, test } from "bun:test";
import { isDenied } from "../../../../src/core/subject-rules.ts";
import {
  forbiddenByOrchestrator,
  forbiddenToJobsOf,
  notHeldInSandbox,
  type PermissionRule,
  rulesOnSubjects,
  toRules,
  type UserRules,
} from "../../../../src/hosts/opencode-1/permission-rules.ts";

const COMMANDS = ["sandbox_exec", "sandbox_process", "agents_start"];
const EDITS = ["sandbox_write", "sandbox_edit"];
const READ = ["sandbox_read"];

/** What the host makes of a user's rules for an agent: its own defaults come first. */
const resolve = (all: unknown, own: unknown): PermissionRule[] => [
  { permission: "*", pattern: "*", action: "allow" },
  { permission: "read", pattern: "*.env", action: "ask" },
  ...toRules(all),
  ...toRules(own),
];
const user = (all: unknown, agents: Record<string, unknown> = {}): UserRules => ({
  all: toRules(all),
  agents: Object.fromEntries(Object.entries(agents).map(([name, rules]) => [name, toRules(rules)])),
});

test("rules are configured as one action, by name, or by name and pattern", () => {
  expect(toRules(undefined)).toEqual([]);
  expect(toRules("ask")).toEqual([{ permission: "*", pattern: "*", action: "ask" }]);
  expect(toRules({ bash: "deny", edit: { "*": "deny", "a/*": "allow" } })).toEqual([
    { permission: "bash", pattern: "*", action: "deny" },
    { permission: "edit", pattern: "*", action: "deny" },
    { permission: "edit", pattern: "a/*", action: "allow" },
  ]);
});

describe("what is forbidden to a job's agent is forbidden in its sandbox:", () => {
  test.each([
    ["nothing", {}, {}, []],
    ["commands", {}, { bash: "deny" }, COMMANDS],
    ["commands, of all agents", { bash: "deny" }, {}, COMMANDS],
    ["commands again, after they were allowed to all", { bash: "allow" }, { bash: { "*": "deny" } }, COMMANDS],
    ["nothing that it is allowed later", { bash: "deny", edit: "deny" }, { bash: "allow", edit: "ask" }, []],
    ["edits, but for some files", {}, { edit: { "*": "deny", "plans/*.md": "allow" } }, EDITS],
    ["edits, by a longer wildcard", {}, { edit: { "**": "deny" } }, EDITS],
    ["nothing, for denials of single commands", {}, { bash: { "*": "allow", "rm *": "deny" } }, []],
    ["all but what it is allowed", {}, { "*": "deny", read: "allow" }, [...COMMANDS, ...EDITS, "skill"]],
    ["skills", {}, { skill: "deny" }, ["skill"]],
    ["to start runs, where it would be asked", { agents_start: "ask" }, {}, ["agents_start"]],
    ["GPUs of runs, where they would be asked for", { gpu: "ask" }, {}, ["gpu"]],
    ["GPUs of runs, where some are forbidden", { gpu: { "*": "allow", "H100*": "deny" } }, {}, ["gpu"]],
    ["nothing, where GPUs are allowed to it", { gpu: "ask" }, { gpu: "allow" }, []],
    [
      "one of our tools by name",
      {},
      { sandbox_process: "deny", job_report: "deny" },
      ["sandbox_process", "job_report"],
    ],
    [
      "several of our tools by a pattern",
      {},
      { "sandbox_*": "deny", sandbox_read: "allow" },
      [...COMMANDS, ...EDITS, "sandbox_snapshot"],
    ],
    ["nothing where a rule for ours lifts it", { bash: "deny" }, { "sandbox_*": "allow" }, []],
    ["nothing that would only be asked for", { "*": "ask" }, { bash: "ask" }, []],
  ])("%s", (_what, all, own, expected) => {
    const agent = { name: "mine", permission: resolve(all, own) };
    expect(forbiddenToJobsOf(agent, user(all, { mine: own })).sort()).toEqual([...expected].sort());
  });

  test.each([
    ["nothing by our own rules for it", {}, {}, []],
    ["what is forbidden to all by name", { edit: "deny" }, {}, EDITS],
    ["what is forbidden to it", {}, { bash: "deny" }, COMMANDS],
    ['nothing for a "*": "deny" of all agents', { "*": "deny", "agents_*": "allow" }, {}, []],
    ['what its own "*": "deny" covers', {}, { "*": "deny", read: "allow" }, [...COMMANDS, ...EDITS, "skill"]],
  ])("our worker: %s", (_what, all, own, expected) => {
    const agent = { name: "sandbox_worker", permission: toRules({ "*": "deny", sandbox_exec: "allow" }) };
    expect(forbiddenToJobsOf(agent, user(all, { sandbox_worker: own })).sort()).toEqual([...expected].sort());
  });
});

describe("an agent that starts jobs passes on what is forbidden to it by name:", () => {
  const session = (rules: object): PermissionRule[] => toRules(rules);
  test.each([
    ["nothing", {}, {}, []],
    ["edits, as of the host's plan agent", { edit: { "*": "deny", ".opencode/plans/*.md": "allow" } }, {}, EDITS],
    ['nothing for a "*": "deny"', { "*": "deny", "agents_*": "allow" }, {}, []],
    ["what is named besides", { "*": "deny", bash: "deny" }, {}, COMMANDS],
    ["nothing that its session is allowed", { edit: "deny" }, { edit: "allow" }, []],
    ["what its session is forbidden", {}, { bash: "deny" }, COMMANDS],
    ["all, where its session is forbidden all", {}, { "*": "deny" }, [...COMMANDS, ...EDITS, ...READ, "skill"]],
    ["nothing that a rule for ours lifts", { bash: "deny", sandbox_exec: "allow", sandbox_process: "allow" }, {}, []],
  ])("%s", (_what, own, ofSession, expected) => {
    const agent = { name: "lead", permission: resolve({}, own) };
    const forbidden = forbiddenByOrchestrator(agent, session(ofSession), user({}, { lead: own }));
    expect(forbidden.sort()).toEqual([...expected].sort());
  });
});

test("denials of single commands are named, because nothing enforces them in a sandbox", () => {
  const rules = user(
    { bash: { "rm *": "deny" }, webfetch: { "x*": "deny" } },
    { mine: { read: { "*.env": "deny" }, edit: "deny", sandbox_exec: { "curl *": "deny" } } },
  );
  expect(notHeldInSandbox("mine", rules)).toEqual(['bash "rm *"', 'sandbox_exec "curl *"']);
  expect(notHeldInSandbox("other", rules)).toEqual(['bash "rm *"']);
});

describe("denials of single files and skills hold in a sandbox:", () => {
  const denied = (all: unknown, own: unknown, tool: string, subject: string) =>
    isDenied(rulesOnSubjects("mine", user(all, { mine: own })), tool, subject);
  test.each([
    ["files below a folder", {}, { edit: { "docs/**": "deny" } }, "sandbox_write", "docs/a/b.md", "src/docs.md"],
    ["by the pattern of all agents", { edit: { "*.lock": "deny" } }, {}, "sandbox_edit", "a/b.lock", "a/b.ts"],
    ["of one of our tools only", {}, { sandbox_write: { "*.md": "deny" } }, "sandbox_write", "a.md", "a.ts"],
    ["of several of our tools", {}, { "sandbox_*": { "*.pem": "deny" } }, "sandbox_read", "k.pem", "k.txt"],
    [
      "but for those allowed later",
      { read: { "*.env": "deny" } },
      { read: { "my.env": "allow" } },
      "sandbox_read",
      "x.env",
      "my.env",
    ],
    ["skills by name", {}, { skill: { "internal-*": "deny" } }, "skill", "internal-a", "golf"],
  ])("%s", (_what, all, own, tool, refused, granted) => {
    expect([denied(all, own, tool, refused), denied(all, own, tool, granted)]).toEqual([true, false]);
  });

  test("rules of other tools, and rules that deny nothing, take nothing away", () => {
    expect(rulesOnSubjects("mine", user({ bash: { "rm *": "deny" } }, { mine: { edit: { "a/*": "ask" } } }))).toEqual(
      [],
    );
    expect(denied({}, { sandbox_write: { "*.md": "deny" } }, "sandbox_edit", "a.md")).toBe(false);
    expect(denied({}, { edit: { "a/*": "deny" } }, "sandbox_read", "a/b")).toBe(false);
  });
});
