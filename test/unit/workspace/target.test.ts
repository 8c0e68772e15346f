import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decideFolder, decideTarget, openTarget, refuseLinks } from "../../../src/workspace/target.ts";

const root = mkdtempSync(join(tmpdir(), "target-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("a target outside the project, or in its .git, is refused", () => {
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

test("a target that OpenCode loads from is refused", () => {
  const kinds = ["agent", "command", "mode", "plugin", "skill", "tool"];
  const places = kinds.flatMap((kind) => [kind, `${kind}s`]).map((name) => `.opencode/${name}`);
  const others = [
    ".opencode",
    ".OpenCode/Agents/x.md",
    "deep/.opencode/plugin/x.ts",
    ".opencode/ａgents",
    ".opencode./agent ",
    ".claude/skills/x",
    ".agents/skills",
    ".config/opencode/agents/x.md",
  ];
  for (const target of [...places, ...others])
    expect(() => decideTarget(root, target)).toThrow("OpenCode may load what lies there");
  for (const target of [".opencode/collected/job_1", "agents", "opencode/agents", ".config/other"])
    expect(decideTarget(root, target)).toBe(target);
});

test("a target that is a link, or reached through one, is refused", async () => {
  symlinkSync(tmpdir(), join(root, "link"));
  mkdirSync(join(root, "inner"));
  symlinkSync("..", join(root, "inner/up"));
  for (const target of ["link", "link/x", "inner/up/x"]) {
    await expect(refuseLinks(root, target)).rejects.toThrow("is a link");
    await expect(openTarget(root, `${target}/x`)).rejects.toThrow("is no folder");
  }
  await refuseLinks(root, "inner/new/deeper");
});

test("a folder that is in use is never written to", async () => {
  expect(await decideFolder(root, "job_1", null)).toBe(".opencode/collected/job_1");
  mkdirSync(join(root, ".opencode/collected/job_1"), { recursive: true });
  expect(await decideFolder(root, "job_1", null)).toBe(".opencode/collected/job_1");
  writeFileSync(join(root, ".opencode/collected/job_1/mine"), "");
  writeFileSync(join(root, ".opencode/collected/job_1-2"), "");
  expect(await decideFolder(root, "job_1", null)).toBe(".opencode/collected/job_1-3");
  await expect(decideFolder(root, "job_1", ".opencode/collected/job_1")).rejects.toThrow("is there already");
  await expect(decideFolder(root, "job_1", ".opencode/collected/job_1-2")).rejects.toThrow("is there already");
  await expect(decideFolder(root, "job_1", "link")).rejects.toThrow("is a link");
  expect(await decideFolder(root, "../job", null)).toBe(".opencode/collected/___job");
});
