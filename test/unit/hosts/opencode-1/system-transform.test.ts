import { describe, expect, test } from "bun:test";
import type { HostAgentInfo } from "../../../../src/hosts/opencode-1/host-agents.ts";
import { createSystemTransform } from "../../../../src/hosts/opencode-1/system-transform.ts";

const HOST = "You are OpenCode. <env>Working directory: /home/ada</env>";
const TITLE = "You are a title generator.";
const SUMMARY = "Summarize the conversation.";
/** Long enough that an end of it is not the whole. */
const JOB = `You work alone.${" Work well.".repeat(60)} That is all.`;
const BLOCK = "You may delegate.";

type Plugin = (system: string[]) => void | Promise<void>;

/** What OpenCode 1.18.33 sends: plugins edit one array in turn, what they add to an unchanged first entry is folded. */
async function send(text: string, ...plugins: readonly Plugin[]): Promise<string[]> {
  const system = [text];
  const [first] = system;
  for (const plugin of plugins) await plugin(system);
  if (system.length > 2 && system[0] === first) {
    const rest = system.slice(1);
    system.length = 0;
    system.push(first as string, rest.join("\n"));
  }
  return system.map((content) => content);
}

type Broken = "agents" | "delegation" | "jobSessions" | "texts";

function oursFor(
  sessionID: string | undefined,
  removed: string[] = [],
  requests: string[] = [],
  { broken, logged = [] }: { broken?: Broken; logged?: string[] } = {},
): Plugin {
  const agent = (name: string, prompt: string) => ({ name, prompt, mode: "primary", hidden: true }) as HostAgentInfo;
  const fail = async () => {
    throw new Error("Could not list the agents: OpenCode gave no reason (HTTP status 401)");
  };
  const transform = createSystemTransform({
    log: (level, message) => void logged.push(`${level}: ${message}`),
    jobSessions: { jobOf: async (id) => (id === "ses_job" ? { job: "job_1", orchestrator: "ses_o" } : null) },
    texts: {
      forJob: async () => JOB,
      forOrchestrator: async () => BLOCK,
      onRemoved: ({ job }) => void removed.push(job),
    },
    agents: async () => [agent("title", TITLE), agent("compaction", SUMMARY)],
    delegation: { isOffered: async (id) => id !== "ses_barred" },
    shadowedTools: { beforeRequest: (id) => void requests.push(id) },
    firstRequests: { isSent: (job) => void requests.push(job) },
    ...(broken === "agents" && { agents: fail }),
    ...(broken === "delegation" && { delegation: { isOffered: fail } }),
    ...(broken === "jobSessions" && { jobSessions: { jobOf: fail } }),
    ...(broken === "texts" && { texts: { forJob: fail, forOrchestrator: fail, onRemoved() {} } }),
  });
  return (system) => transform({ sessionID, model: {} } as never, { system });
}

const pushes =
  (...texts: string[]): Plugin =>
  (system) =>
    void system.push(...texts);
const replaces: Plugin = (system) => void system.splice(0, system.length, "You are a pirate.");
const empties: Plugin = (system) => {
  system.length = 0;
};
const rewrites: Plugin = (system) => {
  const all = system.join("\n").replace("OpenCode", "a pirate");
  system.length = 0;
  system.push(all);
};

describe("a conversation", () => {
  test.each<[string, string | undefined, string, string[]]>([
    ["whose agent may delegate gets the block in OpenCode's own entry", "ses_user", HOST, [`${HOST}\n\n${BLOCK}`]],
    ["whose agent may not delegate is left alone", "ses_barred", HOST, [HOST]],
    ["of a job gets the job's text in place of OpenCode's", "ses_job", HOST, [JOB]],
    ["without a session is left alone", undefined, HOST, [HOST]],
  ])("%s", async (_what, sessionID, text, expected) => {
    expect(await send(text, oursFor(sessionID))).toEqual(expected);
  });

  test.each([
    ["a title", TITLE],
    ["a summary", `${SUMMARY}\n\nMore of the user's.`],
  ])("%s is none, in a job's session either", async (_what, text) => {
    for (const id of ["ses_user", "ses_job"]) expect(await send(text, oursFor(id))).toEqual([text]);
  });
});

describe("where OpenCode or the plugin's own state cannot be read", () => {
  test.each<[Broken, string]>([
    ["agents", "You are a pirate."],
    ["delegation", HOST],
    ["jobSessions", HOST],
    ["texts", HOST],
  ])("the user's own turn goes on without our text: %s", async (broken, text) => {
    const logged: string[] = [];
    expect(await send(text, oursFor("ses_user", [], [], { broken, logged }))).toEqual([text]);
    expect(logged).toEqual(["error: could not tell an agent how to delegate"]);
  });

  test("a job's turn does not go on without its text", async () => {
    expect(send(HOST, oursFor("ses_job", [], [], { broken: "texts" }))).rejects.toThrow("HTTP status 401");
  });
});

test("what waits for a job's requests hears of them and of no others", async () => {
  const requests: string[] = [];
  for (const id of ["ses_job", "ses_user"]) await send(HOST, oursFor(id, [], requests));
  await send(TITLE, oursFor("ses_job", [], requests));
  expect(requests).toEqual(["ses_job", "job_1"]);
});

describe("beside other plugins", () => {
  const others: readonly Plugin[] = [pushes("one"), pushes("one", "two"), replaces, empties, rewrites, () => {}];

  test("a request has no more system messages than without this one, and each text once", async () => {
    for (const before of others) {
      for (const after of others) {
        const without = await send(HOST, before, after);
        for (const [id, text] of [
          ["ses_user", BLOCK],
          ["ses_job", JOB],
        ] as const) {
          const sent = await send(HOST, before, oursFor(id), after);
          expect(sent.length).toBeLessThanOrEqual(Math.max(1, without.length));
          expect(sent.join().split(text).length).toBeLessThanOrEqual(2);
        }
      }
    }
  });

  test("a job's text is there, whatever the others do, and what follows it is kept", async () => {
    for (const before of others)
      for (const after of others) expect((await send(HOST, before, oursFor("ses_job"), after)).join()).toContain(JOB);
    expect(await send(HOST, oursFor("ses_job"), replaces)).toEqual([`${JOB}\n\nYou are a pirate.`]);
    expect(await send(HOST, oursFor("ses_job"), pushes("one"))).toEqual([JOB, "one"]);
    expect(await send(HOST, replaces, oursFor("ses_job"))).toEqual([JOB]);
  });

  test("it is told when a job's text was removed, and only then", async () => {
    const removed: string[] = [];
    for (const after of [pushes("one"), rewrites, () => {}]) await send(HOST, oursFor("ses_job", removed), after);
    expect(removed).toEqual([]);
    for (const after of [replaces, empties]) await send(HOST, oursFor("ses_job", removed), after);
    expect(removed).toEqual(["job_1", "job_1"]);
  });

  test("a conversation whose text another plugin has replaced before gets the block too", async () => {
    expect(await send(HOST, replaces, oursFor("ses_user"))).toEqual([`You are a pirate.\n\n${BLOCK}`]);
  });
});
