import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { decideRunTask, type RunContext } from "../../../src/core/run-task-request.ts";
import type { SnapshotRecord } from "../../../src/core/snapshot-record.ts";
import { decideTask, type TaskRequest } from "../../../src/core/task.ts";
import { ERROR_CODES } from "../../../src/shared/error-code.ts";
import { createTools } from "../../../src/tools/all-tools.ts";
import type { ToolDeps } from "../../../src/tools/define-tool.ts";
import { loadWith } from "../../unit/config/load-with.ts";
import { CATALOG } from "../../unit/jobs/runtime-world.ts";
import { SKILLS } from "./python.ts";

/*
 * The JSON of the skills is what models copy. After "```json" stands the tool that it is for, "options" for the plugin's
 * options, or nothing for a whole opencode.json.
 */

const tools = createTools({} as ToolDeps);
const skills = readdirSync(SKILLS).map((name) => ({
  name,
  text: readFileSync(join(SKILLS, name, "SKILL.md"), "utf8"),
}));

const examples = skills.flatMap(({ name, text }) =>
  [...text.matchAll(/^```json ?([^\n]*)\n([\s\S]*?)^```$/gm)].map(([, target = "", json = ""], index) => ({
    title: `${name}, example ${index + 1}, ${target || "opencode.json"}`,
    target,
    json,
  })),
);
const ofTools = examples.filter(({ target }) => target !== "" && target !== "options");

test("the skills show calls of the tools that they are about", () => {
  const shown = ofTools.map(({ target }) => target);
  for (const name of ["agents_start", "experiments_score", "agents_collect"]) expect(shown).toContain(name);
});

test.each(ofTools.map(({ title, target, json }) => [title, target, json] as const))(
  "%s, is accepted by the tool exactly as it stands",
  (_, target, json) => {
    const tool = tools.find(({ name }) => name === target);
    expect(tool?.name).toBe(target);
    const { error } = z.strictObject(tool?.args ?? {}).safeParse(JSON.parse(json));
    expect(error && z.prettifyError(error)).toBeUndefined();
  },
);

/** Everything that an example starts from exists. */
const context: RunContext = {
  catalog: CATALOG,
  environments: { default: { gpu: null }, golf: { gpu: "H100!" } },
  gpuLimits: { total: 10 },
  provider: "modal",
  findJob: () => null,
  newestOf: () => null,
  findSnapshot: () => ({ id: "snap_1", provider: "modal", jobID: "job_1" }) as SnapshotRecord,
  lostLabel: () => null,
  ownerOf: () => null,
  isSnapshot: () => false,
  orchestratorModel: "acme/large",
  orchestratorVariant: null,
  forbidden: [],
  maxRunsPerCall: 512,
  runsBefore: 0,
};

test.each(ofTools.flatMap(({ title, target, json }) => (target === "agents_start" ? [[title, json] as const] : [])))(
  "%s, asks for tasks that are accepted, without a remark",
  (_, json) => {
    for (const task of JSON.parse(json).tasks as TaskRequest[]) {
      const decided = task.command === undefined ? decideTask(task, context) : decideRunTask(task, context);
      expect(decided.kind === "refused" ? decided.failure.message : "accepted").toBe("accepted");
      expect("notes" in decided ? decided.notes : []).toEqual([]);
    }
  },
);

test.each(examples.filter(({ target }) => target === "options").map(({ title, json }) => [title, json] as const))(
  "%s, is accepted in a repository's file, without a word",
  async (_, json) => {
    const loaded = await loadWith({ project: json });
    expect(loaded.kind === "invalid" ? loaded.message : loaded.ignored).toEqual([]);
  },
);

test("every tool that a skill names exists", () => {
  const known = new Set(tools.map(({ name }) => name));
  const named = skills.flatMap(({ name, text }) =>
    [...text.matchAll(/\b((?:agents|experiments|sandbox|job)_(?!id\b)[a-z]+)\b(?!")/g)].map(([, tool = ""]) => [
      name,
      tool,
    ]),
  );
  expect(named.length).toBeGreaterThan(20);
  const isWord = (name: string) => name.startsWith("job_") || (ERROR_CODES as readonly string[]).includes(name);
  expect(named.filter(([, tool = ""]) => !known.has(tool) && !isWord(tool))).toEqual([]);
});
