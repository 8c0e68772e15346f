import { expect, test } from "bun:test";
import { configuredInstructions } from "../../../../src/workspace/collect/instruction-patterns.ts";

const of = (...patterns: string[]) =>
  configuredInstructions(patterns, "/work/project", "/work/project/app", "/home/ada");

const CASES: readonly (readonly [pattern: string, path: string, isRead: boolean])[] = [
  ["**/RULES.txt", ".opencode/collected/job_1/RULES.txt", true],
  ["**/*.rules.md", "out/deep/x.rules.md", true],
  ["docs/*.md", "docs/out.md", true],
  ["docs/*.md", "app/docs/out.md", true], // counts from the folder that is open, too
  ["docs/*.md", ".opencode/collected/job_1/docs/out.md", false],
  ["CONTRIBUTING.md", "out/CONTRIBUTING.md", false],
  ["/work/project/out/*.md", "out/x.md", true],
  ["/elsewhere/*.md", "out/x.md", false],
  ["../x.md", "x.md", true], // above the folder that is open
  ["~/x.md", "x.md", false],
  ["https://example.org/**", "https:/example.org/x", false],
  [`{${"a,".repeat(300)}b}`, "a", false],
];

test("what the host is configured to read as instructions is known by where it lies", () => {
  for (const [pattern, path, isRead] of CASES)
    expect([pattern, path, of(pattern)(path)]).toEqual([pattern, path, isRead]);
  expect(of()("AGENTS.md")).toBe(false);
  expect(configuredInstructions(["x.md"], "/work/project", "/work/project", "/home/ada")("x.md")).toBe(true);
});
