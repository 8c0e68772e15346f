import { expect, test } from "bun:test";
import { configuredInstructions } from "../../../../src/workspace/collect/instruction-patterns.ts";

const of = (...patterns: string[]) =>
  configuredInstructions(patterns, "/work/project", "/work/project/app", "/home/ada");

const CASES: readonly (readonly [pattern: string, path: string, isInstruction: boolean])[] = [
  ["**/RULES.txt", ".opencode/collected/job_1/RULES.txt", true],
  ["**/*.rules.md", "out/deep/x.rules.md", true],
  ["docs/*.md", "docs/out.md", true],
  ["docs/*.md", "app/docs/out.md", true], // relative to the folder that is open, too
  ["docs/*.md", ".opencode/collected/job_1/docs/out.md", false],
  ["CONTRIBUTING.md", "out/CONTRIBUTING.md", false],
  ["/work/project/out/*.md", "out/x.md", true],
  ["/elsewhere/*.md", "out/x.md", false],
  ["../x.md", "x.md", true], // above the folder that is open
  ["~/x.md", "x.md", false],
  ["https://example.org/**", "https:/example.org/x", false],
  // what our patterns lack is taken for more than it says, never for less
  ["docs/{a,b{c,d}}.md", "docs/bd.md", true],
  ["docs/{a,b}.md", "src/a.md", false],
  ["docs/[[:alpha:]]*.md", "docs/x.md", true],
  ["docs/[]a]x.md", "docs/]x.md", true],
  ["{docs/a,b}.md", "docs/a.md", true],
  ["docs/+(a|b).md", "docs/ab.md", true],
  ["docs/\\*.md", "docs/*.md", true],
];

test("recognises by its path a file that the host is configured to read as instructions", () => {
  for (const [pattern, path, isInstruction] of CASES)
    expect([pattern, path, of(pattern)(path)]).toEqual([pattern, path, isInstruction]);
  expect(of()("AGENTS.md")).toBe(false);
  expect(configuredInstructions(["x.md"], "/work/project", "/work/project", "/home/ada")("x.md")).toBe(true);
});
