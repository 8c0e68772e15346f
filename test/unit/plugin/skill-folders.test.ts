import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copySkill } from "../../../src/plugin/skill-folders.ts";
import type { Sandbox } from "../../../src/sandboxes/port.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skill-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Of a sandbox only what is written to it. */
function sandboxFor(write: Sandbox["writeFile"]): Sandbox {
  return { home: "/home/agent", writeFile: write } as Sandbox;
}
const skill = () => ({ name: "my skill", description: "", folder, content: "" });

test("a skill's files are copied with their rights, links are not, a few writes at a time", async () => {
  mkdirSync(join(folder, "scripts/deep"), { recursive: true });
  writeFileSync(join(folder, "SKILL.md"), "# Skill\n");
  writeFileSync(join(folder, "scripts/run.sh"), "#!/bin/sh\n");
  chmodSync(join(folder, "scripts/run.sh"), 0o755);
  for (let n = 0; n < 10; n++) writeFileSync(join(folder, `scripts/deep/${n}.txt`), `${n}`);
  symlinkSync("/etc/passwd", join(folder, "scripts/passwd"));
  const written = new Map<string, string>();
  let [open, most] = [0, 0];
  const sandbox = sandboxFor(async (path, content, options) => {
    open += 1;
    most = Math.max(most, open);
    await Bun.sleep(1);
    open -= 1;
    written.set(path, `${options?.executable ? "x " : ""}${Buffer.from(content).toString()}`);
  });
  await copySkill(skill(), sandbox);
  const home = "/home/agent/skills/my_skill";
  const deep = Array.from({ length: 10 }, (_, n): [string, string] => [`${home}/scripts/deep/${n}.txt`, `${n}`]);
  const expected = [[`${home}/SKILL.md`, "# Skill\n"], [`${home}/scripts/run.sh`, "x #!/bin/sh\n"], ...deep];
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(expected));
  expect(most).toBe(4);
});

test("a folder too large to be a skill is refused before anything is written", async () => {
  for (const name of ["a", "b"]) {
    writeFileSync(join(folder, name), "");
    truncateSync(join(folder, name), 26 * 1024 * 1024);
  }
  const sandbox = sandboxFor(() => Promise.reject(new Error("nothing is to be written")));
  await expect(copySkill(skill(), sandbox)).rejects.toThrow("the folder of skill my skill is larger than 50 MiB");
});

test("a file that cannot be written is said", async () => {
  writeFileSync(join(folder, "SKILL.md"), "# Skill\n");
  const sandbox = sandboxFor(() => Promise.reject(new Error("the disk is full")));
  await expect(copySkill(skill(), sandbox)).rejects.toThrow("the disk is full");
});
