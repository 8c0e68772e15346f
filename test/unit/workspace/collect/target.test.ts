import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decideFolder, decideTarget, openTarget, refuseLinks } from "../../../../src/workspace/collect/target.ts";

const root = mkdtempSync(join(tmpdir(), "target-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("refuses a target outside the project or in its .git", () => {
  for (const target of [
    "../x",
    "/etc/x",
    ".git/hooks/pre-commit",
    "a/../../x",
    ".GIT/config",
    ".",
    "a/.git",
    "GIT~1/x",
  ])
    expect(() => decideTarget(root, target)).toThrow("not a path inside the project");
  expect(decideTarget(root, join(root, "out/x"))).toBe("out/x");
});

test("refuses a target where tools load or run files, in any spelling and at any depth", () => {
  const kinds = ["agent", "command", "mode", "plugin", "skill", "tool"];
  const places = kinds.flatMap((kind) => [kind, `${kind}s`]).map((name) => `.opencode/${name}`);
  const hidden = [
    ...[".opencode", ".opencode/collected", ".OpenCode/Agents/x.md", "deep/.opencode/plugin/x.ts", ".opencode/ａgents"],
    ...[".opencode/node_modules/x", ".Opencode/collected/x", ".opencode/collected/.husky/x", ".opencode/x/collected/y"],
    ...[".claude/skills/x", ".agents/skills", ".config/opencode/agents/x.md", ".cursor/rules", ".codex", ".mcp.json"],
    ...[
      ".github",
      ".github/workflows/out",
      ".gitlab",
      ".circleci/x",
      ".husky",
      "a/b/.husky/x",
      ".githooks",
      ".git-hooks",
    ],
    ...[".vscode", ".idea/x", ".zed", ".devcontainer", ".venv/lib", ".direnv", ".yarn/plugins", ".cargo", ".ssh", ".x"],
    ...[".envrc", ".npmrc", ".gitattributes", ".gitmodules"],
  ];
  const others = [
    ...["node_modules", "a/Node_Modules/x", "venv/lib/python3/site-packages", "lib/site-packages/x", "Jenkinsfile"],
    ...["AGENTS.md", "docs/Claude.md", "opencode.json", "conftest.py", "x.pth", "agents.MD/x.patch/AGENTS.md"],
  ];
  for (const target of [...places, ...hidden, ...others])
    expect(() => decideTarget(root, target)).toThrow("without being asked; name another place");
  for (const target of [".opencode/collected/job_1", "agents", "opencode/agents", "github/workflows", "out.patch"])
    expect(decideTarget(root, target)).toBe(target);
});

test("refuses a target whose name some file system takes for another", () => {
  const names = [
    "~",
    "~root/x",
    "-rf",
    "a/--output=x",
    "NODE_M~1",
    "a/GITHUB~1/x",
    "out:stream",
    "out.",
    "out ",
    "a\\b",
    "node\u200b_modules",
    "\u202eout",
    "x/…/\u00ad",
  ];
  for (const target of [...names, ".opencode/collected/AGENTS~1.MD", "node_modules::$INDEX_ALLOCATION/x"])
    expect(() => decideTarget(root, target)).toThrow("takes its name for another");
  for (const target of ["Ergebnisse/größe", "a-b", "a~b", "結果"]) expect(decideTarget(root, target)).toBe(target);
});

test("refuses a target that is a link or is reached through one", async () => {
  symlinkSync(tmpdir(), join(root, "link"));
  mkdirSync(join(root, "inner"));
  symlinkSync("..", join(root, "inner/up"));
  for (const target of ["link", "link/x", "inner/up/x"]) {
    await expect(refuseLinks(root, target)).rejects.toThrow("is a link");
    await expect(openTarget(root, `${target}/x`)).rejects.toThrow("is not a folder");
  }
  await refuseLinks(root, "inner/new/deeper");
});

test("refuses a target that the file system cannot look up, with a code", async () => {
  const target = "long".repeat(100);
  const refusal = { code: "collect_failed", message: expect.stringContaining("ENAMETOOLONG") };
  await expect(refuseLinks(root, target)).rejects.toMatchObject(refusal);
  await expect(decideFolder(root, "job_1", target)).rejects.toMatchObject(refusal);
});

test("never chooses a folder that is in use", async () => {
  expect(await decideFolder(root, "job_1", null)).toBe(".opencode/collected/job_1");
  mkdirSync(join(root, ".opencode/collected/job_1"), { recursive: true });
  expect(await decideFolder(root, "job_1", null)).toBe(".opencode/collected/job_1");
  writeFileSync(join(root, ".opencode/collected/job_1/mine"), "");
  writeFileSync(join(root, ".opencode/collected/job_1-2"), "");
  expect(await decideFolder(root, "job_1", null)).toBe(".opencode/collected/job_1-3");
  await expect(decideFolder(root, "job_1", ".opencode/collected/job_1")).rejects.toThrow("already exists");
  await expect(decideFolder(root, "job_1", ".opencode/collected/job_1-2")).rejects.toThrow("already exists");
  await expect(decideFolder(root, "job_1", "link")).rejects.toThrow("is a link");
  expect(await decideFolder(root, "../job", null)).toBe(".opencode/collected/___job");
});
