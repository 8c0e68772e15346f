import { expect } from "bun:test";
import { execFileSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JobView } from "../../src/views/job-view.ts";
import type { ModelRequest } from "../support/model-server.ts";
import { must, openProject } from "../support/opencode.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import {
  answerOf,
  ask,
  message,
  outputsOf,
  shell,
  start,
  type ToolAnswer,
  task,
  turn,
  wait,
} from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

/* What reaches a job besides its task, as it reaches OpenCode's own subtasks. */

const variants = { low: { reasoningEffort: "low" }, high: { reasoningEffort: "high" } };
const setup = useProject(
  { environments: { files: { workspace: "project" } } },
  {
    files: {
      "AGENTS.md": "Use tabs in this project.",
      "packages/a/AGENTS.md": "Package a is in French.",
      "packages/a/x.txt": "x",
      "docs/style.md": "Write short sentences.",
      ".opencode/opencode.json": JSON.stringify({
        provider: {
          mock: {
            models: {
              m1: { variants, modalities: { input: ["text", "image"], output: ["text"] } },
              m3: { name: "m3", tool_call: true, limit: { context: 100_000, output: 8_000 } },
            },
          },
        },
      }),
      ".opencode/agent/mdreader.md":
        "---\nmode: subagent\npermission:\n  edit: deny\n  sandbox_ex*: deny\n---\nYou browse.",
      ".opencode/skill/lint/SKILL.md": "---\nname: lint\ndescription: Lints.\n---\nRun scripts/lint.sh first.",
      ".opencode/skill/lint/scripts/lint.sh": "echo linted",
    },
    config: {
      instructions: ["docs/*.md", "secret-link.md", "../outside.md"],
      agent: {
        noedit: { mode: "subagent", prompt: "You review.", permission: { edit: "deny" } },
        nobash: { mode: "subagent", prompt: "You read.", tools: { bash: false } },
        nodocs: { mode: "subagent", prompt: "You code.", permission: { edit: { "docs/**": "deny" } } },
        nowrite: { mode: "all", prompt: "You patch.", permission: { sandbox_write: "deny" } },
        onlyread: { mode: "all", prompt: "You look.", permission: { "*": "deny", read: "allow" } },
      },
    },
  },
);

const isOfJob = ({ tools }: ModelRequest) => tools.includes("job_report");
const rawOf = (request: ModelRequest | undefined) => JSON.stringify(request?.raw);

interface Asked {
  readonly started: ToolAnswer;
  readonly finished: readonly JobView[];
  /** Requests of jobs. */
  readonly requests: readonly ModelRequest[];
}

/** Runs these tasks from a prompt with these parts and settings. */
async function run(tasks: readonly object[], body: object = {}, parts: readonly object[] = []): Promise<Asked> {
  const { server, model } = setup;
  const session = await server.createSession();
  const before = model.requests.length;
  const text = { type: "text", text: script(start(...tasks), wait(), say("done")) };
  must(await server.client.session.prompt({ sessionID: session.id, parts: [text, ...parts], ...body } as never));
  const [started, waited] = (await server.messages(session.id))
    .flatMap((one) => one.parts)
    .flatMap((part) => (part.type === "tool" ? [answerOf(part)] : []));
  if (!started || !waited) throw new Error("the turn broke off");
  return { started, finished: waited.metadata.finished, requests: model.requests.slice(before).filter(isOfJob) };
}

sandboxTest(
  "gives a job the instruction files that OpenCode's own agents get, unchanged for sibling jobs and later turns",
  async () => {
    const { server, home, model } = setup;
    for (const name of ["outside.md", "secret.md"]) writeFileSync(join(home.root, name), "SECRET of the host");
    symlinkSync(join(home.root, "secret.md"), join(home.project, "secret-link.md"));
    const before = model.requests.length;
    const session = await server.createSession();
    const one = { ...task("one", shell("echo hi"), say("first")), environment: "files" };
    const [, waited] = await turn(
      server,
      session.id,
      start(one, { ...task("two", say("x")), environment: "files" }),
      wait(),
    );
    const jobs = waited?.metadata.finished ?? [];
    writeFileSync(join(home.project, "AGENTS.md"), "Use spaces now.");
    await turn(server, session.id, message(jobs[0]?.id ?? "", script(say("second"))), wait());
    const systems = model.requests
      .slice(before)
      .filter(isOfJob)
      .map(({ system }) => system);
    expect(systems).toHaveLength(4);
    expect(new Set(systems).size).toBe(1);
    for (const text of [
      'name="AGENTS.md"',
      "Use tabs in this project.",
      'name="docs/style.md"',
      "Write short sentences.",
    ])
      expect(systems[0]).toContain(text);
    expect(systems[0]).not.toContain("SECRET");
    expect(systems[0]).not.toContain(home.project);
    expect(jobs[0]?.notes.join(" ")).toContain("secret-link.md (it leads out of the project)");
    expect(jobs[0]?.notes.join(" ")).toContain('outside.md of the user" (it lies outside the project');
    home.git("checkout", "--quiet", "AGENTS.md");
  },
);

sandboxTest("tells a job the folder of the project that OpenCode is open in", async () => {
  const { home, model } = setup;
  const server = await openProject(setup.server, { ...home, project: join(home.project, "packages/a") });
  const session = await server.createSession();
  const before = model.requests.length;
  const [, waited] = await turn(
    server,
    session.id,
    start({ ...task("one", shell("pwd; cat packages/a/x.txt; echo y > y.txt"), say("x")), environment: "files" }),
    wait(),
  );
  const [output] = await outputsOf(server, waited?.metadata.finished[0], "sandbox_exec");
  expect(output).toContain("/workspace\nx");
  const system = model.requests.slice(before).find(isOfJob)?.system ?? "";
  expect(system).toContain("The user works in its folder packages/a: relative paths in your task mean that folder");
  expect(system.indexOf("Package a is in French.")).toBeLessThan(system.indexOf("Use tabs in this project."));
  expect(system).toContain('name="packages/a/AGENTS.md"');

  const collected = await ask(server, session.id, call("agents_collect", { job: "$job1", mode: "patch" }));
  const [, command = ""] = /Apply it with (git .+?): in a folder below/.exec(collected.output) ?? [];
  expect(command).toContain(`git -C ${home.project} apply .opencode/collected/`);
  execFileSync("/bin/sh", ["-c", command], { cwd: join(home.project, "packages/a"), env: home.env });
  expect(readFileSync(join(home.project, "y.txt"), "utf8")).toBe("y\n");
  await server.stop();
});

sandboxTest("runs a job on the orchestrator's variant of the model, or on that of its task", async () => {
  const { finished, requests, started } = await run(
    [
      task("inherits", say("x")),
      { ...task("named", say("x")), variant: "low" },
      { ...task("none", say("x")), variant: "default" },
      { ...task("other model", say("x")), model: "mock/m2" },
      { ...task("unknown", say("x")), variant: "ultra" },
      { ...task("unknown to its model", say("x")), model: "mock/m2", variant: "low" },
    ],
    { variant: "high" },
  );
  const variantOf = new Map(finished.map(({ description, variant }) => [description, variant]));
  expect([
    variantOf.get("inherits"),
    variantOf.get("named"),
    variantOf.get("none"),
    variantOf.get("other model"),
  ]).toEqual(["high", "low", undefined, undefined]);
  const efforts = requests.map(({ raw }) => (raw as { reasoning_effort?: string }).reasoning_effort ?? "none");
  expect(efforts.sort()).toEqual(["high", "low", "none", "none"]);
  const refused = started.metadata.jobs.filter(({ state }) => state === "failed").map(({ error }) => error?.message);
  expect(refused).toEqual([
    expect.stringContaining('"ultra" is not configured; there are: low, high'),
    expect.stringContaining('"low" is not configured'),
  ]);
});

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const image = { type: "file", mime: "image/png", filename: "plot.png", url: `data:image/png;base64,${PIXEL}` };

sandboxTest("passes the images of the user's message on to a job whose model sees images", async () => {
  const blind = { ...task("blind", say("x")), model: "mock/m3" };
  const { finished, requests } = await run([task("sees", shell("true"), say("x")), blind], {}, [image]);
  expect(finished.map(({ state }) => state)).toEqual(["completed", "completed"]);
  const seen = requests.filter((request) => rawOf(request)?.includes(PIXEL));
  expect(seen.map(({ model }) => model)).toEqual(["m1", "m1"]);
  const notes = new Map(finished.map(({ description, notes }) => [description, notes.join()]));
  expect(notes.get("blind")).toContain("images that are attached to the user's message: its model mock/m3 takes none");
  expect(notes.get("sees")).not.toContain("images");
});

sandboxTest("gives a job's agent no tool that the user denies to it, and says so", async () => {
  const agents = ["noedit", "nobash", "nowrite", "onlyread", "mdreader"];
  const writes = ["docs/x.md", "src/x.md"].map((path) => call("sandbox_write", { path, content: "x" }));
  const { finished, requests } = await run([
    ...agents.map((agent) => ({ ...task(agent, say("x")), agent })),
    { ...task("nodocs", ...writes, say("x")), agent: "nodocs" },
  ]);
  const toolsOf = (prompt: string) => requests.find(({ system }) => system.includes(prompt))?.tools ?? [];
  const lacks = {
    "You review.": ["sandbox_write", "sandbox_edit"],
    "You read.": ["sandbox_exec", "sandbox_process"],
    "You patch.": ["sandbox_write"],
    "You browse.": ["sandbox_exec", "sandbox_write", "sandbox_edit"],
    "You look.": ["sandbox_exec", "sandbox_process", "sandbox_write", "sandbox_edit"],
  };
  for (const [prompt, missing] of Object.entries(lacks)) {
    const offered = toolsOf(prompt);
    expect(offered).toContain("sandbox_read");
    for (const tool of missing) expect(offered).not.toContain(tool);
  }
  const byAgent = new Map(finished.map((job) => [job.agent, job]));
  for (const agent of agents)
    expect(byAgent.get(agent)?.notes.join()).toContain("the user's permissions deny these tools to its agent");
  expect(byAgent.get("nodocs")?.notes.join()).toContain('keep to the user\'s denials of "docs/**"');
  const written = await outputsOf(setup.server, byAgent.get("nodocs"), "sandbox_write");
  expect(written).toEqual([expect.stringContaining("permission_denied"), expect.stringContaining("src/x.md")]);
});

sandboxTest("a skill that a job loads is in its sandbox, and names nothing of the host", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const uses = task("uses", call("skill", { name: "lint" }), shell("sh ~/skills/lint/scripts/lint.sh"), say("x"));
  const [, waited] = await turn(server, session.id, start(uses), wait());
  const job = waited?.metadata.finished[0];
  const [skill = ""] = await outputsOf(server, job, "skill");
  expect(skill).toContain("Run scripts/lint.sh first.");
  expect(skill).toContain("/skills/lint");
  expect(skill).not.toContain(home.project);
  expect(await outputsOf(server, job, "sandbox_exec")).toEqual([expect.stringContaining("linted")]);
});
