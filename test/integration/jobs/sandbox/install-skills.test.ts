import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { Job } from "../../../../src/core/job.ts";
import type { CatalogSkill } from "../../../../src/core/ports.ts";
import { installSkills } from "../../../../src/jobs/sandbox/install-skills.ts";
import type { Sandbox } from "../../../../src/sandboxes/port.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { createGit } from "../../../../src/workspace/git.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skill-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const git = createGit(systemClock, { PATH: process.env.PATH, HOME: "/nonexistent" });

/** A sandbox that only files are written to. */
function sandboxFor(write: Sandbox["writeFile"]): Sandbox {
  return { home: "/home/agent", writeFile: write } as Sandbox;
}
const skillWith = (more: Partial<CatalogSkill> = {}): CatalogSkill => ({
  name: "my skill",
  folder,
  content: "",
  project: null,
  ...more,
});

/** Installs this skill as for a job whose task names it. */
const install = (skill: CatalogSkill, sandbox: Sandbox) =>
  installSkills(
    { catalog: async () => ({ skills: [skill] }), git },
    { task: { skills: [skill.name] } } as unknown as Job,
    sandbox,
  );

/** Installs a skill. Returns the files written, by path below the skill's folder in the sandbox, and the notes. */
async function copy(skill: CatalogSkill): Promise<{ files: Record<string, string>; notes: readonly string[] }> {
  const files: Record<string, string> = {};
  const sandbox = sandboxFor(async (path, content) => {
    files[path.replace("/home/agent/skills/my_skill/", "")] = Buffer.from(content).toString();
  });
  const notes = await install(skill, sandbox);
  return { files, notes };
}

test("copies a skill's files with their executable bit, four at a time", async () => {
  mkdirSync(join(folder, "scripts/deep"), { recursive: true });
  writeFileSync(join(folder, "SKILL.md"), "# Skill\n");
  writeFileSync(join(folder, "scripts/run.sh"), "#!/bin/sh\n");
  chmodSync(join(folder, "scripts/run.sh"), 0o755);
  for (let n = 0; n < 10; n++) writeFileSync(join(folder, `scripts/deep/${n}.txt`), `${n}`);
  const written = new Map<string, string>();
  let [open, most] = [0, 0];
  const sandbox = sandboxFor(async (path, content, options) => {
    open += 1;
    most = Math.max(most, open);
    for (let n = 0; n < 100 && most < 4; n++) await Bun.sleep(5); // a busy machine may be slow to begin the others
    open -= 1;
    written.set(path, `${options?.executable ? "x " : ""}${Buffer.from(content).toString()}`);
  });
  await install(skillWith(), sandbox);
  const home = "/home/agent/skills/my_skill";
  const deep = Array.from({ length: 10 }, (_, n): [string, string] => [`${home}/scripts/deep/${n}.txt`, `${n}`]);
  const expected = [[`${home}/SKILL.md`, "# Skill\n"], [`${home}/scripts/run.sh`, "x #!/bin/sh\n"], ...deep];
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(expected));
  expect(most).toBe(4);
});

test("refuses a folder larger than 50 MiB before anything is written", async () => {
  for (const name of ["a", "b"]) {
    writeFileSync(join(folder, name), "");
    truncateSync(join(folder, name), 26 * 1024 * 1024);
  }
  const sandbox = sandboxFor(() => Promise.reject(new Error("unexpected write")));
  await expect(install(skillWith(), sandbox)).rejects.toThrow('the folder of skill "my skill" is larger than 50 MiB');
});

test("reports a file that cannot be written", async () => {
  writeFileSync(join(folder, "SKILL.md"), "# Skill\n");
  const sandbox = sandboxFor(() => Promise.reject(new Error("the disk is full")));
  await expect(install(skillWith(), sandbox)).rejects.toThrow("the disk is full");
});

describe("a link in a skill's folder", () => {
  let elsewhere = "";
  beforeEach(() => {
    elsewhere = mkdtempSync(join(tmpdir(), "elsewhere-"));
    mkdirSync(join(elsewhere, "ssh"));
    writeFileSync(join(elsewhere, "ssh/id_ed25519"), "private key\n");
    writeFileSync(join(folder, "SKILL.md"), "# Skill\n");
    mkdirSync(join(folder, "scripts"));
    writeFileSync(join(folder, "scripts/run.sh"), "#!/bin/sh\n");
  });
  afterEach(() => rmSync(elsewhere, { recursive: true, force: true }));

  test("is left out and named when it leads out of the folder", async () => {
    symlinkSync(join(elsewhere, "ssh"), join(folder, "keys"));
    symlinkSync(join(elsewhere, "ssh/id_ed25519"), join(folder, "scripts/key"));
    symlinkSync("/", join(folder, "scripts/everything"));
    execFileSync("mkfifo", [join(folder, "pipe")]);
    const { files, notes } = await copy(skillWith());
    expect(files).toEqual({ "SKILL.md": "# Skill\n", "scripts/run.sh": "#!/bin/sh\n" });
    const out = "(it is a link that leads out of the folder)";
    expect(notes).toEqual([
      `Of skill "my skill" these were left out: pipe (it is a pipe, socket or device), keys ${out}, scripts/everything ${out}, scripts/key ${out}.`,
    ]);
  });

  test("is copied when it leads to a file of the skill", async () => {
    symlinkSync("scripts/run.sh", join(folder, "run"));
    symlinkSync(".", join(folder, "scripts/round"));
    const { files, notes } = await copy(skillWith());
    expect(files.run).toBe("#!/bin/sh\n");
    expect(Object.keys(files).sort()).toEqual(["SKILL.md", "run", "scripts/run.sh"]);
    expect(notes.join()).toContain("scripts/round (it is a link to a folder");
  });

  test("counts with the full size of its file", async () => {
    truncateSync(join(folder, "scripts/run.sh"), 20 * 1024 * 1024);
    for (const name of ["a", "b"]) symlinkSync("scripts/run.sh", join(folder, name));
    await expect(copy(skillWith())).rejects.toThrow("larger than 50 MiB");
  });

  test("refuses a home directory as a skill", async () => {
    await expect(copy(skillWith({ folder: homedir() }))).rejects.toThrow("is a home directory");
  });

  test("lets the user's own skill itself be a link, as dotfile managers create them", async () => {
    symlinkSync(folder, join(elsewhere, "linked"));
    expect((await copy(skillWith({ folder: join(elsewhere, "linked") }))).files).toEqual({
      "SKILL.md": "# Skill\n",
      "scripts/run.sh": "#!/bin/sh\n",
    });
  });

  test("lets a project's skill be a link within the project, and refuses one that leads out of it", async () => {
    const project = join(elsewhere, "project");
    mkdirSync(join(project, ".opencode/skill/half"), { recursive: true });
    mkdirSync(join(project, "skills/inside"), { recursive: true });
    writeFileSync(join(project, "skills/inside/SKILL.md"), "# Inside\n");
    const at = (name: string) => skillWith({ folder: join(project, ".opencode/skill", name), project });
    symlinkSync("../../skills/inside", join(project, ".opencode/skill/inside"));
    symlinkSync(folder, join(project, ".opencode/skill/outside"));
    symlinkSync("../..", join(project, ".opencode/skill/all"));
    symlinkSync(join(folder, "SKILL.md"), join(project, ".opencode/skill/half/SKILL.md"));
    expect((await copy(at("inside"))).files).toEqual({ "SKILL.md": "# Inside\n" });
    for (const name of ["outside", "half"])
      await expect(copy(at(name))).rejects.toThrow("is a link that leads out of its project");
    await expect(copy(at("all"))).rejects.toThrow("is the whole project");
  });
});

test("leaves out files of a project's skill that git ignores, unless git ignores the whole skill", async () => {
  const inRepository = (...args: string[]) => execFileSync("git", ["-C", folder, ...args]);
  inRepository("init", "--quiet");
  mkdirSync(join(folder, "skill"));
  for (const name of [".gitignore", "skill/SKILL.md", "skill/.env", "skill/kept.log", "skill/run.sh"])
    writeFileSync(join(folder, name), ".env\n*.log\n");
  symlinkSync(".env", join(folder, "skill/settings"));
  inRepository("add", "--force", "skill/kept.log");
  const at = { folder: join(folder, "skill"), project: folder };
  const { files, notes } = await copy(skillWith(at));
  expect(Object.keys(files).sort()).toEqual(["SKILL.md", "kept.log", "run.sh"]);
  expect(notes.join()).toContain(".env (it is ignored by git), settings (it is ignored by git)");
  expect(Object.keys((await copy(skillWith({ ...at, project: null }))).files)).toHaveLength(5);
  writeFileSync(join(folder, ".gitignore"), "skill/\n");
  expect(Object.keys((await copy(skillWith(at))).files)).toHaveLength(5);
});

test("refuses a project's skill when git cannot say what it ignores, and copies all of it where there is no repository", async () => {
  mkdirSync(join(folder, "skill"));
  for (const name of ["skill/SKILL.md", "skill/.env"]) writeFileSync(join(folder, name), "text");
  const at = { folder: join(folder, "skill"), project: folder };
  expect(Object.keys((await copy(skillWith(at))).files).sort()).toEqual([".env", "SKILL.md"]);
  execFileSync("git", ["-C", folder, "init", "--quiet"]);
  writeFileSync(join(folder, ".gitignore"), ".env\n");
  writeFileSync(join(folder, ".git/config"), "[broken");
  await expect(copy(skillWith(at))).rejects.toThrow(
    /could not list the git-ignored files of skill .*, which must not be copied/,
  );
});
