import { describe, expect, test } from "bun:test";
import { importCycles, layerViolations } from "./layers.ts";
import { sourceFiles } from "./source-files.ts";

test("every file imports only what its layer allows", () => {
  expect(sourceFiles().length).toBeGreaterThan(0);
  expect(sourceFiles().flatMap(layerViolations)).toEqual([]);
});

test("no files import each other in a cycle, not even types", () => {
  expect(importCycles(sourceFiles())).toEqual([]);
});

test("the check finds an import cycle of types over several files", () => {
  const files = [
    { path: "src/core/a.ts", text: 'import type { B } from "./b.ts";' },
    { path: "src/core/b.ts", text: 'import { c } from "../jobs/store/c.ts";' },
    { path: "src/jobs/store/c.ts", text: 'export type A = import("../../core/a.ts").A;' },
    { path: "src/core/alone.ts", text: 'import { b } from "./b.ts";' },
  ];
  const cycles = importCycles(files);
  expect(cycles).toHaveLength(1);
  expect(cycles[0]).toStartWith("src/core/a.ts → src/core/b.ts → src/jobs/store/c.ts → src/core/a.ts");
});

describe("the check finds the import in", () => {
  test.each([
    ["src/core/job.ts", 'import type { SessionJobs } from "../jobs/session/session-jobs.ts";', "not jobs/session"],
    ["src/jobs/queue/leases.ts", 'import { park } from "../sandbox/parking.ts";', "not jobs/sandbox"],
    [
      "src/jobs/sandbox/parking.ts",
      'import type { JobRunner } from "../execution/job-runner.ts";',
      "not jobs/execution",
    ],
    ["src/jobs/actions/start-jobs.ts", 'import type { Runtime } from "../runtime.ts";', "not jobs"],
    ["src/prompt/notice.ts", 'import { open } from "../jobs/store/database.ts";', "not jobs/store"],
    ["src/jobs/job.ts", 'import { tool } from "../tools/agents-start.ts";', "not tools"],
    ["src/jobs/job.ts", 'import type { Local } from "../sandboxes/local/provider.ts";', "not sandboxes/local"],
    ["src/jobs/job.ts", 'import type { Plugin } from "@opencode-ai/plugin";', "only an adapter knows its host"],
    ["src/tools/exec.ts", 'import type { ToolContext } from "@opencode-ai/plugin";', "hosts/opencode-1, tui only"],
    ["src/index.ts", 'import type { PluginModule } from "@opencode-ai/plugin";', "hosts/opencode-1, tui only"],
    [
      "src/prompt/notice.ts",
      'export type A = import("@opencode-ai/sdk/v2/client").Event;',
      "hosts/opencode-1, tui only",
    ],
    ["src/views/job-view.ts", 'import { Plugin } from "@opencode/plugin";', "hosts/opencode-1, tui only"],
    ["src/hosts/shared/toasts.ts", 'import type { Hooks } from "@opencode-ai/plugin";', "hosts/opencode-1, tui only"],
    ["src/hosts/shared/toasts.ts", 'import { x } from "../opencode-1/live-part.ts";', "not hosts"],
    ["src/sandboxes/local/provider.ts", 'export * from "../modal/errors.ts";', "not sandboxes/modal"],
    ["src/sandboxes/port.ts", 'const later = import("./local/provider.ts");', "not sandboxes/local"],
    ["src/sandboxes/port.ts", 'export type A = import("../jobs/job.ts").Job;', "not jobs"],
    ["src/workspace/project/paths.ts", 'import { parseGlob } from "../collect/glob.ts";', "not workspace/collect"],
    ["src/shared/ids.ts", 'import "../config/load.ts";', "no other layer"],
    ["src/index.ts", 'import { x } from "./jobs/job.ts";', "may import hosts"],
    ["src/tools/exec.ts", 'import { ModalClient } from "modal";', "sandboxes/modal only"],
    ["src/tools/exec.ts", 'import { spawn } from "node:child_process";', "on the host"],
    ["src/tools/exec.ts", 'import { createOpencodeClient } from "@opencode-ai/sdk/v2";', "hosts/opencode-1, tui only"],
    ["src/jobs/scheduler.ts", 'const { Database } = await import("bun:sqlite");', "jobs/store only"],
    ["src/jobs/scheduler.ts", 'import { z } from "zod";', "data is parsed where it enters"],
    ["src/shared/clock-skew.ts", 'import { setTimeout } from "node:timers/promises";', "tests own it"],
    ["src/shared/names.ts", 'import { nanoid } from "nanoid";', "shared/ids only"],
    ["src/jobs/job.ts", 'import { fake } from "../../test/support/fake.ts";', "nothing outside its layers"],
    ["src/helpers/thing.ts", "", "not in the table"],
  ])("%s: %s", (path, text, rule) => {
    const violations = layerViolations({ path, text });
    expect(violations).toHaveLength(1);
    expect(violations[0]).toStartWith(path);
    expect(violations[0]).toContain(rule);
  });
});

test.each([
  ["src/index.ts", 'const server = () => import("./hosts/opencode-1/server.ts");'],
  ["src/hosts/opencode-1/server.ts", 'import type { Plugin } from "@opencode-ai/plugin";'],
  ["src/jobs/store/rows.ts", 'import { z } from "zod"; import type { Sandbox } from "../../sandboxes/port.ts";'],
  ["src/shared/ids.ts", 'import { nanoid } from "nanoid"; // import "modal"'],
])("the check allows the imports in %s", (path, text) => {
  expect(layerViolations({ path, text })).toEqual([]);
});

test("OpenCode starts programs only where enough open files are left for them", () => {
  const starts = (text: string) => /^import (?!type )[^;]*\bspawn\b[^;]*from "node:child_process"/m.test(text);
  const found = sourceFiles()
    .filter(({ text }) => starts(text))
    .map(({ path }) => path);
  const users = found.filter((path) => !/^src\/(cli|tui)\//.test(path));
  expect(users).toEqual(["src/shared/start-program.ts"]);
});
test("startProgram is used where programs may be started", () => {
  const users = sourceFiles().filter(({ text }) => /from "[./]+\/start-program\.ts"/.test(text));
  expect(users.filter(({ path }) => !/^src\/(sandboxes\/local|workspace)\//.test(path))).toEqual([]);
});
