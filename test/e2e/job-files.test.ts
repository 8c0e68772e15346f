import { beforeAll, expect } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { inJob, outputsOf, shell, start, task, turn, wait } from "../support/turns.ts";
import { useSetup } from "../support/use-setup.ts";

const SKILL = "---\nname: brewing\ndescription: How to brew.\n---\n# Brewing\nBoil for seven minutes.\n";

const setup = useSetup(
  {},
  {
    files: {
      ".opencode/skills/brewing/SKILL.md": SKILL,
      ".opencode/skills/brewing/scripts/boil.sh": "#!/bin/sh\necho boiling\n",
    },
    homeFiles: {
      ".ssh/id_ed25519": "private key\n",
      "cellar/SKILL.md": SKILL.replaceAll("brewing", "cellar"),
      "dotfiles/tasting/SKILL.md": SKILL.replaceAll("brewing", "tasting"),
      ".config/opencode/skills/.keep": "",
    },
  },
);

/** Links as a repository may bring them, and as a user makes them himself. */
beforeAll(() => {
  const { project, home, configDir } = setup.home;
  symlinkSync(join(home, ".ssh"), join(project, ".opencode/skills/brewing/keys"));
  symlinkSync(join(home, "cellar"), join(project, ".opencode/skills/cellar"));
  symlinkSync(join(home, "dotfiles/tasting"), join(configDir, "skills/tasting"));
});

sandboxTest("reads, writes and edits files, and gives the reason when it cannot", async () => {
  const path = "dir/file.txt";
  const edit = (old_string: string, new_string: string, more: object = {}) =>
    call("sandbox_edit", { path, old_string, new_string, ...more });
  const answers = await inJob(
    setup.server,
    call("sandbox_write", { path, content: "one\ntwo\ntwo\nthree ü\n" }),
    call("sandbox_read", { path }),
    call("sandbox_read", { path, offset: 2, limit: 1 }),
    edit("one", "1"),
    edit("two", "2"),
    edit("two", "2", { replace_all: true }),
    edit("four", "4"),
    edit("", "4"),
    call("sandbox_read", { path: `/workspace/${path}` }),
    call("sandbox_read", { path: "missing" }),
    call("sandbox_read", { path: "dir" }),
    call("sandbox_write", { path: "dir", content: "x" }),
    shell("printf '\\377\\376\\000' > binary; ln -s /etc/passwd link; : > empty; ls"),
    call("sandbox_read", { path: "binary" }),
    call("sandbox_edit", { path: "missing", old_string: "a", new_string: "b" }),
    call("sandbox_read", { path: `../../../../${setup.home.home}/.gitconfig` }),
    call("sandbox_write", { path: "/usr/bin/new", content: "x" }),
    call("sandbox_read", { path: "empty" }),
    call("sandbox_read", { path, limit: -1 }),
    call("sandbox_write", { path: "only" }),
    shell("ls", { gpu: "H100" }),
    shell("  "),
  );
  const said = answers.map(({ output, metadata }) => (metadata.error ? metadata.error.code : output));
  expect(said).toEqual([
    "Wrote 21 bytes to dir/file.txt.",
    "1\tone\n2\ttwo\n3\ttwo\n4\tthree ü",
    "2\ttwo\n[2 lines more; go on with offset 3]",
    "Replaced once in dir/file.txt (line 1).",
    "file_failed",
    "Replaced 2 times in dir/file.txt (lines 2 and 3).",
    "file_failed",
    "invalid_task",
    "1\t1\n2\t2\n3\t2\n4\tthree ü",
    "file_not_found",
    expect.stringContaining("file.txt") as never,
    "is_directory",
    "binary\ndir\nempty\nlink\n[exit code 0]",
    "file_failed",
    "file_not_found",
    "file_not_found",
    "permission_denied",
    "(empty file)",
    "invalid_task",
    "invalid_task",
    "invalid_task",
    "invalid_task",
  ]);
  expect(answers[4]?.output).toContain("contains old_string 2 times");
  expect(answers[13]?.output).toContain("is a binary file of 3 bytes");
});

sandboxTest("brings a task's skills to its job: their text, and their folder with its scripts", async () => {
  const { server, model } = setup;
  const session = await server.createSession();
  const run = shell("cd ~/skills/brewing && cat SKILL.md | tail -1 && sh scripts/boil.sh && ls");
  const tasks = [{ ...task("brews", run, say("ok")), skills: ["brewing"] }, task("does not", say("ok"))];
  const since = model.requests.length;
  const [, waited] = await turn(server, session.id, start(...tasks), wait());
  const [brews] = waited?.metadata.finished ?? [];
  const outputs = await outputsOf(server, brews, "sandbox_exec");
  expect(outputs).toEqual([
    expect.stringMatching(/Boil for seven minutes\.\nboiling\nSKILL\.md\nscripts\n\[exit code 0\]$/),
  ]);
  const systems = model.requests.slice(since).filter(({ tools }) => tools.includes("sandbox_exec"));
  const ofBrewer = systems.filter(({ lastUser }) => lastUser.includes("boil.sh"));
  expect(ofBrewer).toHaveLength(2);
  for (const { system } of ofBrewer) {
    expect(system).toContain("# Skill brewing\nIts files are in your sandbox at /home/");
    expect(system).toContain("Boil for seven minutes.");
    expect(system).not.toContain(setup.home.project);
  }
  for (const { system } of systems.filter((one) => !ofBrewer.includes(one))) expect(system).not.toContain("brewing");
});

sandboxTest(
  "keeps what a skill links to from its job, and refuses a project's skill that is a link out of the project",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const look = (name: string) => ({ ...task(name, shell(`ls ~/skills/${name}`), say("ok")), skills: [name] });
    const names = ["brewing", "tasting", "cellar"];
    const [, waited] = await turn(server, session.id, start(...names.map(look)), wait());
    const of = (name: string) => waited?.metadata.finished.find(({ description }) => description === name);
    const note = "Of skill brewing these were left out: keys (it is a link that leads out of the folder).";
    const told = `Know besides:\n- ${note}\n\nSKILL.md\nscripts\n[exit code 0]`; // its model was asked before that was known
    expect(await outputsOf(server, of("brewing"), "sandbox_exec")).toEqual([told]);
    expect(of("brewing")?.notes).toContain(note);
    expect(waited?.output).toContain(note);
    expect(await outputsOf(server, of("tasting"), "sandbox_exec")).toEqual(["SKILL.md\n[exit code 0]"]);
    expect(of("cellar")?.error).toMatchObject({
      code: "sandbox_create_failed",
      message: expect.stringContaining("skill cellar is a link that leads out of its project"),
    });
  },
);
