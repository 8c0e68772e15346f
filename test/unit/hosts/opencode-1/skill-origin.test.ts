import { expect, test } from "bun:test";
import { projectOfSkill } from "../../../../src/hosts/opencode-1/skill-origin.ts";

test("a skill in an open project belongs to that project, and one in the user's own folders to the user", () => {
  const homes = { own: ["/home/ada"], others: [] };
  const places = ["/home/ada/work", "/home/ada/work/part"];
  const of = (location: string, env = {}) => projectOfSkill(location, places, homes, env);
  expect(of("/home/ada/work/.opencode/skill/x/SKILL.md")).toBe("/home/ada/work");
  expect(of("/home/ada/work/part/.claude/skills/x/SKILL.md")).toBe("/home/ada/work");
  expect(of("/home/ada/working/x/SKILL.md")).toBeNull();
  expect(of("/home/ada/.config/opencode/skill/x/SKILL.md")).toBeNull();
  expect(of("/opt/skills/x/SKILL.md")).toBeNull();
  const inConfig = (env: object) =>
    projectOfSkill("/home/ada/conf/opencode/skills/x/SKILL.md", ["/home/ada/conf"], homes, env as never);
  expect(inConfig({})).toBe("/home/ada/conf");
  expect(inConfig({ XDG_CONFIG_HOME: "/home/ada/conf" })).toBeNull();
});
