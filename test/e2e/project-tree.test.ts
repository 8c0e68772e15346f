import { expect } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openProject } from "../support/opencode.ts";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, outputsOf, shell, start, task, turn, wait } from "../support/turns.ts";
import { useSetup } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useSetup(
  { environments: { default: { workspace: "project" }, bare: { workspace: "empty" } } },
  { files: { "src/sum.js": "export const sum = (a, b) => a + b;\n", ".gitignore": "secret.env\n" } },
);

sandboxTest("jobs start from the project as it is, in a repository of their own, sent once", async () => {
  const { server, home } = setup;
  writeFileSync(join(home.project, "README.md"), "# Changed and not committed\n");
  writeFileSync(join(home.project, "notes.txt"), "untracked\n");
  writeFileSync(join(home.project, "secret.env"), "TOKEN=1\n");
  const session = await server.createSession();
  const look =
    "cat README.md notes.txt src/sum.js; git status --short; git log --format='%s'; git config user.name; ls -a";
  const tasks = [1, 2, 3].map((n) => task(`job ${n}`, shell(look), say("done")));
  const bare = { ...task("bare", shell("ls -A"), say("done")), environment: "bare" };
  const [, waited] = await turn(server, session.id, start(...tasks, bare), wait());
  const jobs = waited?.metadata.finished ?? [];
  expect(jobs.map(({ state }) => state)).toEqual(["completed", "completed", "completed", "completed"]);
  const outputs = await Promise.all(jobs.map((job) => outputsOf(server, job, "sandbox_exec")));
  for (const [output = ""] of outputs.slice(0, 3)) {
    expect(output).toStartWith("# Changed and not committed\nuntracked\nexport const sum");
    expect(output).toContain("b;\nThe project as it was\nTest User\n");
    expect(output).not.toContain("secret.env");
  }
  expect(jobs[0]?.notes.join()).not.toContain("status.showUntrackedFiles");
  expect(outputs[3]).toEqual(["[exit code 0]"]);
  expect(home.git("status", "--short", "--branch")).toBe("## main\n M README.md\n?? notes.txt");

  await until(() => sandboxesOf(home).length === 0, { what: "all are parked" });
  expect(readdirSync(join(home.stateDir, "local/snapshots"))).toHaveLength(jobs.length + 1); // one was prepared
});

sandboxTest("a user who keeps untracked files out of git's sight keeps them out of jobs, and is told", async () => {
  const { server, home } = setup;
  home.git("config", "status.showUntrackedFiles", "no");
  writeFileSync(join(home.project, "private.txt"), "private\n");
  const session = await server.createSession();
  const [, waited] = await turn(server, session.id, start(task("looks", shell("ls"), say("done"))), wait());
  const [job] = waited?.metadata.finished ?? [];
  const [listed] = await outputsOf(server, job, "sandbox_exec");
  expect(listed).toMatch(
    /^Know besides:\n.*status\.showUntrackedFiles is off there\n\nREADME\.md\nsrc\n\[exit code 0\]$/,
  );
  expect(job?.notes.join()).toContain("status.showUntrackedFiles is off there");
  expect(waited?.output).toContain("status.showUntrackedFiles is off there");
});

sandboxTest(
  "of a home that is a repository jobs get nothing, and of a folder below it that folder alone, and are told",
  async () => {
    const { home } = setup;
    execFileSync("git", ["-C", home.home, "init", "--quiet"], { env: home.env });
    mkdirSync(join(home.home, "plain"));
    writeFileSync(join(home.home, "plain/notes.txt"), "notes\n");
    const CASES = [
      [home.home, "[exit code 0]", "OpenCode is open in a home directory, or above one"],
      [join(home.home, "plain"), "notes.txt\n[exit code 0]", "that repository is a whole home directory"],
    ] as const;
    for (const [project, output, note] of CASES) {
      const server = await openProject(setup.server, { ...home, project });
      const session = await server.createSession();
      const since = setup.model.requests.length;
      const look = shell("ls -A --ignore=.git");
      const [, waited] = await turn(server, session.id, start(task("looks", look, say("done"))), wait());
      const [job] = waited?.metadata.finished ?? [];
      const [listed] = await outputsOf(server, job, "sandbox_exec");
      expect(listed).toEndWith(output);
      expect(job?.notes.join()).toContain(note);
      expect(waited?.output).toContain(note);
      const ofJob = setup.model.requests.slice(since).filter(({ tools }) => tools.includes("sandbox_exec"));
      expect(ofJob).toHaveLength(2);
      // Where its model was asked before the project was looked through, its first answer tells it.
      expect(`${ofJob[0]?.system}${listed}`).toContain(note);
      for (const { system } of ofJob) expect(system).not.toContain(home.home);
      await server.stop();
    }
  },
);

sandboxTest(
  "beside a bare repository, a worktree is a project and so is the folder around it, without secrets",
  async () => {
    const { home } = setup;
    const around = join(home.home, "around");
    const git = (cwd: string, ...args: string[]) =>
      execFileSync("git", args, { cwd, env: home.env, encoding: "utf8", stdio: "pipe" }).trimEnd();
    mkdirSync(around);
    git(around, "clone", "--quiet", "--bare", home.project, ".bare");
    git(join(around, ".bare"), "remote", "set-url", "origin", "https://user:s3cret@example.com/x.git");
    writeFileSync(join(around, ".git"), "gitdir: ./.bare\n");
    for (const name of ["one", "main"])
      git(around, "worktree", "add", "--quiet", "--force", name, ...(name === "main" ? ["main"] : []));
    for (const [folder, listed] of [
      ["main", "README.md\nsrc\n"],
      ["", "main\n"],
    ] as const) {
      const server = await openProject(setup.server, { ...home, project: join(around, folder) });
      const session = await server.createSession();
      const look = shell("ls; grep -rl s3cret . | head; echo new > new.txt");
      const [, waited] = await turn(server, session.id, start(task("looks", look, say("done"))), wait());
      const [job] = waited?.metadata.finished ?? [];
      const [output] = await outputsOf(server, job, "sandbox_exec");
      expect(output).toEndWith(folder === "" ? `\n\n${listed}[exit code 0]` : `${listed}[exit code 0]`);
      if (folder === "") expect(waited?.output).toContain("open OpenCode in one of its working trees");
      const { metadata } = await ask(server, session.id, call("agents_collect", { job: job?.id, mode: "patch" }));
      expect(metadata as unknown).toMatchObject({ stat: { files: 1, insertions: 1, deletions: 0 } });
      await server.stop();
    }
  },
);
