import { expect } from "bun:test";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { ask, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject(
  { environments: { default: { workspace: "project" }, bare: { workspace: "empty" } } },
  {
    files: {
      "sum.js": "exports.sum = () => 0;\n",
      "check.js": 'require("assert").equal(require("./sum").sum(1, 2), 3);\n',
    },
    config: { permission: { edit: "allow" } },
  },
);

/** Five ways to one end; the last does not get there. */
const WAYS = ["a + b", "b + a", "a - -b", "[a, b].reduce((x, y) => x + y)", "a * b"];

sandboxTest("collects five solutions of one task as branches, of which the chosen one works", async () => {
  const { server, home } = setup;
  writeFileSync(join(home.project, "README.md"), "# Not committed\n");
  execFileSync("mkfifo", [join(home.project, "pipe")]);
  const before = home.git("status", "--porcelain=v2", "--branch");
  const session = await server.createSession();
  const tasks = WAYS.map((way, n) =>
    task(
      `way ${n}`,
      shell(`echo 'exports.sum = (a, b) => ${way};' > sum.js; ${n === 0 ? "git commit -q -a -m 'Add up'" : ":"}`),
      say("done"),
    ),
  );
  const [, waited] = await turn(server, session.id, start(...tasks), wait());
  const jobs = waited?.metadata.finished ?? [];
  expect(jobs.map(({ state }) => state)).toEqual(WAYS.map(() => "completed"));
  await until(() => sandboxesOf(home).length === 0, { what: "all are parked" }); // their work is kept all the same

  const works: boolean[] = [];
  for (const [n, job] of jobs.entries()) {
    const answer = await ask(server, session.id, call("agents_collect", { job: job.id }));
    const collected = answer.metadata as unknown as Record<string, unknown> & { base: string };
    expect(collected).toMatchObject({
      branch: `agents/${job.id}`,
      commits: [{ subject: n === 0 ? "Add up" : "Work that was not committed" }],
      stat: { files: 1, insertions: 1, deletions: 1 },
      preview: { kind: "clean" },
    });
    expect(Object.keys(collected.overlaps as object).sort()).toEqual(
      jobs
        .map(({ id }) => id)
        .filter((id) => id !== job.id)
        .sort(),
    );
    expect(answer.output).toContain("It merges cleanly with the project as it is now.");
    expect(home.git("show", `${collected.base}:README.md`)).toBe("# Not committed");
    const sum = home.git("show", `agents/${job.id}:sum.js`);
    works.push(new Function("exports", `${sum}; return exports.sum(1, 2)`)({}) === 3);
  }
  expect(works).toEqual([true, true, true, true, false]);
  const noted = "sockets, pipes and devices were left out: pipe";
  expect((await ask(server, session.id, status())).metadata.jobs.map(({ notes }) => notes.includes(noted))).toEqual(
    WAYS.map(() => true),
  );
  expect(home.git("status", "--porcelain=v2", "--branch")).toBe(before);
  expect(home.git("stash", "list")).toBe("");

  const again = await ask(server, session.id, call("agents_collect", { job: jobs[0]?.id }));
  expect(again.metadata as unknown).toMatchObject({ leftOut: [], attention: [], notes: [] });
  expect(again.output).toContain(noted);

  const chosen = jobs[0]?.id as string;
  const patched = await ask(server, session.id, call("agents_collect", { job: chosen, mode: "patch" }));
  const file = `.opencode/collected/${chosen}.patch`;
  expect(patched.metadata as unknown).toMatchObject({ patch: file });
  expect(readFileSync(join(home.project, file), "utf8")).toContain("+exports.sum = (a, b) => a + b;");
  home.git("apply", "--check", file);

  const outside = await ask(
    server,
    session.id,
    call("agents_collect", { job: chosen, mode: "patch", into: "../x.patch" }),
  );
  expect(outside.metadata.error).toMatchObject({ code: "collect_failed" });
  expect(existsSync(join(home.root, "x.patch"))).toBe(false);
  const other = await server.createSession();
  const foreign = await ask(server, other.id, call("agents_collect", { job: chosen }));
  expect(foreign.metadata.error).toMatchObject({ code: "not_found" });
});

sandboxTest("collects a job in every way at once while it is parked", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  home.git("config", "user.email", " ");
  const jobs = ["$job1"];
  const collects = jobs.flatMap((job) => [
    ...["branch", "patch", "branch"].map((mode) => ({ job, mode })),
    ...["a.txt", "b.txt"].map((path) => ({ job, mode: "files", paths: [path] })),
  ]);
  const atOnce = { toolCalls: collects.map((args) => ({ name: "agents_collect", arguments: args })) };
  const make = shell("for n in $(seq 50); do echo $n > $n.txt; done; git add -A; git commit -qm Made; cp 1.txt a.txt; cp 2.txt b.txt"); // biome-ignore format: one line
  const tasks = jobs.map((job) => task(job.slice(1), make, say("done")));
  const [, , ...answers] = await turn(server, session.id, start(...tasks), wait(), atOnce);
  expect(answers.map(({ metadata }) => metadata.error ?? "collected")).toEqual(collects.map(() => "collected"));
  const folders = answers.map(({ metadata }) => (metadata as unknown as { into?: string }).into).filter(Boolean);
  expect(new Set(folders).size).toBe(2);
  for (const { metadata } of answers) {
    const { branch } = metadata as unknown as { branch?: string };
    if (branch) expect(home.git("show", `${branch}:a.txt`)).toBe("1");
    const { notes } = metadata as unknown as { notes: string[] };
    if (branch) expect(notes.join()).toContain("No address is configured for git: the commits are by Test User <base@");
  }
  home.git("config", "--unset", "user.email");
});

sandboxTest("tells a job that the project changed, updates its files, and leaves conflicts to it", async () => {
  const { server, home } = setup;
  const write = (name: string, text: string) => writeFileSync(join(home.project, name), text);
  write("list.txt", "one\ntwo\nthree\n");
  const session = await server.createSession();
  const change = "sed -i s/three/drei/ list.txt; git commit -q -a -m 'Translate'; echo mine > mine.txt";
  const [, waited] = await turn(server, session.id, start(task("translate", shell(change), say("done"))), wait());
  const id = waited?.metadata.finished[0]?.id as string;

  write("later.txt", "later\n");
  const look = [shell("cat list.txt later.txt; git status --short"), say("seen")];
  const told = await ask(server, session.id, message(id, script(...look)));
  expect(told.output).toContain("The project has changed since the job took its files: later.txt. It goes on with");
  expect((await ask(server, session.id, wait())).metadata.finished[0]).not.toHaveProperty("update");
  await ask(server, session.id, message(id, script(...look), { update: true }));
  const [updated] = (await ask(server, session.id, wait())).metadata.finished;
  expect(updated).toMatchObject({ state: "completed", update: { conflicts: [] } });
  const outputs = await outputsOf(server, updated, "sandbox_exec");
  expect(outputs[1]).toContain("later.txt: No such file");
  expect(outputs[2]).toStartWith("one\ntwo\ndrei\nlater\n?? mine.txt\n");

  write("list.txt", "one\ntwo\ntrois\n");
  const blind = call("sandbox_write", { path: "list.txt", content: "one\ntwo\ndrei\n" }); // as it knew it
  const resolve =
    "grep -c '^<<<<<<<' list.txt; printf 'one\\ntwo\\ndrei, trois\\n' > list.txt; git add -A; git commit -qm Both";
  const [asked] = await turn(
    server,
    session.id,
    message(id, script(blind, shell(resolve), say("resolved")), { update: true }),
    wait(),
  );
  const [written] = await outputsOf(server, updated, "sandbox_write");
  expect(written).toContain(
    "Error file_failed: You have not read the whole of list.txt since the project's newest changes",
  );
  expect(asked?.output).toContain("list.txt. They are brought up to date before that turn");
  const said = await ask(server, session.id, status());
  expect(said.metadata.jobs[0]).toMatchObject({ update: { conflicts: ["list.txt"] } });
  expect(said.output).toContain("conflicts with the project were left to it in list.txt");
  const prompts = (await server.messages(updated?.sessionID as string)).map(({ parts }) => JSON.stringify(parts));
  expect(prompts.filter((text) => text.includes("contain conflict markers: list.txt"))).toHaveLength(1);

  const { metadata } = await ask(server, session.id, call("agents_collect", { job: id }));
  expect(metadata as unknown).toMatchObject({ preview: { kind: "clean" }, commits: [{ subject: "Both" }] });
  expect(home.git("show", `agents/${id}:list.txt`)).toBe("one\ntwo\ndrei, trois");
  expect(home.git("show", `agents/${id}:later.txt`)).toBe("later");

  const bare = { ...task("bare", say("done")), environment: "bare" };
  const [, ended] = await turn(server, session.id, start(bare), wait());
  const refused = await ask(
    server,
    session.id,
    message(ended?.metadata.finished.find(({ environment }) => environment === "bare")?.id ?? "", "on", {
      update: true,
    }),
  );
  expect(refused.metadata.error).toMatchObject({ code: "invalid_task" });
});

sandboxTest("names files of a branch that tools load by themselves, and what the branch lacks", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const make = `mkdir -p .vscode .git/x part; echo x | tee .envrc .vscode/tasks.json > part/AGENTS.md; git init -q part/own
      git -C part/own -c user.name=x -c user.email=x commit -q --allow-empty -m x
      git add -A 2>/dev/null; git commit -q --signoff -m "Add settings"`;
  const [, waited] = await turn(server, session.id, start(task("settings", shell(make), say("done"))), wait());
  const job = waited?.metadata.finished[0]?.id as string;
  const brought = [".envrc", ".vscode/tasks.json", "part/AGENTS.md"];
  for (const mode of ["branch", "patch"]) {
    const { output, metadata } = await ask(server, session.id, call("agents_collect", { job, mode }));
    expect(metadata as unknown).toMatchObject({
      attention: brought,
      leftOut: [{ path: "part/own", why: "the job made it a repository of its own" }],
      commits: [{ subject: "Add settings" }],
    });
    expect(output).toContain("Attention: these take effect without being asked.");
    for (const path of brought) expect(output).toContain(`\n- ${path}: `);
    expect(output).toContain("Left out 1:\n- part/own: the job made it a repository of its own");
    expect(output).toContain("spoke for somebody (sign-offs, reviews): 1");
  }
  const some = (...paths: string[]) => ask(server, session.id, call("agents_collect", { job, mode: "patch", paths }));
  const patch = join(home.project, `.opencode/collected/${job}.patch`);
  const part = { attention: ["part/AGENTS.md"], stat: { files: 1, insertions: 1, deletions: 0 } };
  for (const path of ["./part/", "/workspace/part"]) {
    const { output, metadata } = await some(path, "nowhere");
    expect(metadata as unknown).toMatchObject({ ...part, unmatched: ["nowhere"] });
    expect(output).toContain("1 file, +1 -0.");
    expect(output).toContain("No changed file is at nowhere.");
  }
  const before = readFileSync(patch, "utf8");
  expect(before).toContain("+++ b/part/AGENTS.md");
  expect((await some("nowhere")).output).toContain("so no patch was made; one that was at .opencode/collected/");
  expect(readFileSync(patch, "utf8")).toBe(before);
  expect((await some("/etc/passwd")).metadata.error).toMatchObject({ code: "invalid_task" });
  expect(home.git("log", "-1", "--format=%B", `agents/${job}`)).toBe(`Add settings\n\nJob: ${job}`);
});

sandboxTest(
  "makes no branch of nothing, and names work that a job left on other branches and in other places",
  async () => {
    const { server, home } = setup;
    const session = await server.createSession();
    const scatter = `git switch -q -c topic; echo x > README.md; git commit -qam One; git switch -q -; echo y > README.md; git stash -q
      git worktree add -q /tmp/out -b out; echo z > /tmp/out/README.md; git init -q own; echo o > own/o`;
    const tasks = [task("idle", shell("true"), say("done")), task("scattered", shell(scatter), say("done"))];
    const [, waited] = await turn(server, session.id, start(...tasks), wait());
    await until(() => sandboxesOf(home).length === 0, { what: "both are parked" });
    const jobs = waited?.metadata.finished ?? [];
    const [idle, scattered] = ["idle", "scattered"].map(
      (name) => jobs.find(({ description }) => description === name)?.id,
    );
    const nothing = await ask(server, session.id, call("agents_collect", { job: idle }));
    expect(nothing.output).toStartWith(`${idle} changed nothing, so no branch was made.`);
    expect(home.git("branch", "--list", `agents/${idle}`)).toBe("");
    expect(nothing.metadata).not.toHaveProperty("branch");

    const { output, metadata } = await ask(server, session.id, call("agents_collect", { job: scattered }));
    const { branch, leftOut } = metadata as unknown as { branch: string; leftOut: { path: string; why: string }[] };
    expect(home.git("diff", "--name-only", `${branch}~1`, branch)).toBe("own/o");
    expect(leftOut.map(({ path }) => path).sort()).toEqual(["/tmp/out", "own", "refs/heads/topic", "refs/stash"]);
    expect(output).toContain("ask the job with agents_message to merge it");
  },
);

sandboxTest("says why a job without the project's files cannot be collected", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const bare = { ...task("bare", say("done")), environment: "bare" };
  const [, waited] = await turn(server, session.id, start(bare), wait());
  const job = waited?.metadata.finished[0]?.id;
  const { metadata } = await ask(server, session.id, call("agents_collect", { job }));
  expect(metadata.error).toMatchObject({ code: "collect_failed", message: expect.stringContaining("did not start") });
});
