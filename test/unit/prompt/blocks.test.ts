import { describe, expect, test } from "bun:test";
import type { Job } from "../../../src/core/job.ts";
import { renderOrchestratorBlock } from "../../../src/prompt/orchestrator-block.ts";
import { renderWorkerBlock } from "../../../src/prompt/worker-block.ts";
import { describeLocation, isIsolated } from "../../../src/views/location.ts";

const words = (text: string) => text.split(/\s+/).filter((word) => word !== "").length;

describe("the orchestrator's block", () => {
  const facts = {
    maxRunningJobs: 8,
    maxTasksPerCall: 32,
    environments: ["default"],
    emptyEnvironments: [] as string[],
    provider: "local" as const,
    isIsolated: true,
    gpuLimits: { total: 10 },
  };

  test("stays under 350 words with many environments", () => {
    const environments = ["default", ...Array.from({ length: 40 }, (_, i) => `environment-${i}`)];
    expect(words(renderOrchestratorBlock({ ...facts, environments }))).toBeLessThan(350);
  });

  test("explains the flow, the limits, and not to end the turn too early", () => {
    const block = renderOrchestratorBlock(facts);
    for (const word of [
      "agents_start",
      "agents_wait",
      "agents_message",
      "sandbox_snapshot",
      "At most 8",
      "at most 32",
    ]) {
      expect(block).toContain(word);
    }
    expect(block).toContain("Do not end your turn");
    expect(block).toContain('A message that begins with "[parallel agents]" comes from this plugin');
    expect(block).not.toContain("Environments");
  });

  test("says which files a job starts with", () => {
    expect(renderOrchestratorBlock(facts)).toContain("It starts with the project's files as they are now, or from");
    const empty = { ...facts, environments: ["default", "bare"], emptyEnvironments: ["bare"] };
    expect(renderOrchestratorBlock(empty)).toContain("as they are now (environments without: bare)");
    const all = renderOrchestratorBlock({ ...facts, emptyEnvironments: ["default"] });
    expect(all).toContain("empty work directory");
    expect(all).not.toContain("agents_collect");
  });

  test("says how many GPUs may be held", () => {
    const modal = { ...facts, provider: "modal" as const, gpuLimits: { total: 10, H100: 8 } };
    expect(renderOrchestratorBlock(facts)).not.toContain("GPUs at once");
    expect(renderOrchestratorBlock(modal)).toContain("GPUs at once: 10; H100 8.");
  });

  test("names missing isolation and then does not mention sandboxes", () => {
    const block = renderOrchestratorBlock({ ...facts, isIsolated: false });
    expect(block).toContain("WITHOUT isolation");
    expect(block).not.toMatch(/isolated sandbox|local sandboxes/);
    expect(words(block)).toBeLessThan(350);
    expect(renderOrchestratorBlock(facts)).not.toContain("WITHOUT");
  });

  test("names environments when there are several", () => {
    const block = renderOrchestratorBlock({
      ...facts,
      environments: ["default", "python"],
    });
    expect(block).toContain("Environments: default, python.");
  });
});

test.each([
  ["modal", "none", "on Modal"],
  ["local", "auto", "in local sandboxes on this machine"],
  ["local", "bubblewrap", "in local sandboxes on this machine"],
  [
    "local",
    "none",
    'on this machine WITHOUT isolation, as you and with all that you may do: your option "local.isolation" is "none"',
  ],
] as const)("jobs on %s with isolation %s run %s", (provider, isolation, place) => {
  expect(describeLocation(provider, { isolation })).toBe(place);
  expect(isIsolated(provider, { isolation })).toBe(!place.includes("WITHOUT"));
});

describe("the worker's block", () => {
  const job = {
    id: "job_1",
    task: { snapshotID: null as string | null },
    base: null,
    notes: [] as readonly string[],
  } as Job;
  const sandbox = { workdir: "/workspace", home: "/home/agent", notes: ["No network."] };
  const skill = { name: "golf", content: "Play well.", folder: "/home/agent/skills/golf" };

  test("describes the sandbox and nothing of the user's machine", () => {
    const block = renderWorkerBlock({ isIsolated: true, job, sandbox, skills: [skill], agentPrompt: "You review." });
    for (const part of ["/workspace", "/home/agent", "- No network.", "You review.", "# Skill golf", "Play well."]) {
      expect(block).toContain(part);
    }
    const paths = block.match(/(?<![\w./~])\/[\w./-]+/g) ?? [];
    expect(paths.filter((path) => !/^\/(workspace|home\/agent)/.test(path))).toEqual([]);
    for (const own of [process.cwd(), process.env.HOME ?? "/root"]) expect(block).not.toContain(own);
  });

  test("names its tools, and says that nobody answers", () => {
    const block = renderWorkerBlock({ isIsolated: true, job, sandbox, skills: [], agentPrompt: null });
    for (const tool of ["exec", "process", "read", "write", "edit", "snapshot"])
      expect(block).toContain(`sandbox_${tool}`);
    expect(block).toContain("job_report");
    expect(block).toContain("nobody answers");
    expect(block).not.toContain("Skill");
  });

  test("repeats the job's notes, and notes of its sandbox only once", () => {
    const noted = { ...job, notes: ["No network.", "Skill golf came without keys: it is a link."] };
    const block = renderWorkerBlock({ isIsolated: true, job: noted, sandbox, skills: [], agentPrompt: null });
    expect(block.split("No network.")).toHaveLength(2);
    expect(block).toContain("- Skill golf came without keys");
  });

  test("mentions a missing sandbox and a snapshot to start from", () => {
    const forked = { ...job, task: { ...job.task, snapshotID: "snap_1" } };
    expect(renderWorkerBlock({ isIsolated: true, job: forked, sandbox, skills: [], agentPrompt: null })).toContain(
      "snap_1",
    );
    expect(renderWorkerBlock({ isIsolated: true, job, sandbox: null, skills: [], agentPrompt: null })).toContain(
      "not running",
    );
  });

  test("warns a job without isolation that its commands run as the user", () => {
    const block = renderWorkerBlock({ isIsolated: false, job, sandbox, skills: [], agentPrompt: null });
    expect(block).toContain("WITHOUT isolation");
    expect(block).not.toMatch(/isolated Linux machine|cannot reach/);
    const walled = renderWorkerBlock({ isIsolated: true, job, sandbox, skills: [], agentPrompt: null });
    expect(walled).toContain("You cannot reach the user's machine");
    expect(walled).not.toContain("WITHOUT");
  });
});
