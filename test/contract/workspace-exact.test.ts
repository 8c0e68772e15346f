import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writePatch } from "../../src/workspace/collect/write-patch.ts";
import { bubblewrap } from "../support/sandboxes.ts";
import { env, git, home, repository, useHome, write } from "./home-support.ts";
import { useJobs } from "./shapes-support.ts";

/* A branch holds what the user's own git would have recorded: converted line ends, no hidden changes, no filtered bytes. */

useHome();

const LINES = Array.from({ length: 60 }, (_, n) => `line ${n}`);
const crlf = (lines: readonly string[]) => lines.map((line) => `${line}\r\n`).join("");
const lf = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");
const EDIT = "sed -i s/'line 30'/'LINE 30'/";

describe.skipIf(!bubblewrap)("a job's changes come back as the user's git would record them", () => {
  const jobs = useJobs();

  /** Takes the project through a job, and writes its patch. */
  async function job(script: string) {
    const before = git("work", "ls-files", "--stage", "-v"); // not "status", which runs filters
    const { store, base, built, branch, preview } = await jobs.job("work", script);
    expect(git("work", "ls-files", "--stage", "-v")).toBe(before);
    const patch = join(home, "work", "job.patch");
    if (branch !== null) await writePatch(store, built, "job.patch", "patch");
    const said = { notes: base.notes.join("\n"), leftOut: new Map(built.leftOut.map(({ path, why }) => [path, why])) };
    return { base, built, branch: branch ?? "", preview, patch, ...said };
  }

  const numstat = (branch: string, from = "main") => git("work", "diff", "--numstat", from, branch).split("\n");
  const read = (path: string) => readFileSync(join(home, "work", path), "latin1");
  const commit = () => {
    git("work", "add", "--all");
    git("work", "commit", "--quiet", "-m", "First");
  };

  const CONVERTED: readonly (readonly [name: string, attributes: string, config: readonly string[]])[] = [
    ["eol=crlf", "* text=auto eol=crlf\n", []],
    ["a macro and a nested file of attributes", "[attr]dos text eol=crlf\n", []],
    ["core.autocrlf", "", ["core.autocrlf", "true"]],
    ["core.eol", "*.txt text\n", ["core.eol", "crlf"]],
  ];
  for (const [name, attributes, config] of CONVERTED)
    test(`one changed line is one line where files are converted by ${name}, in the patch too`, async () => {
      repository("work");
      if (config.length > 0) git("work", "config", ...config);
      write("work/.gitattributes", attributes);
      write("work/sub/.gitattributes", name.startsWith("a macro") ? "*.txt dos\n" : "");
      write("work/sub/a.txt", crlf(LINES));
      write("work/sub/b.txt", crlf(LINES));
      commit();
      expect(git("work", "cat-file", "-s", "HEAD:sub/a.txt")).toBe(String(lf(LINES).length));
      write("work/sub/b.txt", crlf(["mine", ...LINES])); // and not committed
      const made = `${EDIT} sub/a.txt; git add -A; git commit -qm Edit; printf 'x\\r\\ny\\r\\n' > sub/new.txt; cat sub/a.txt | tail -c 2 | od -c`;
      const { branch, preview, patch, built } = await job(made);
      expect(numstat(branch)).toEqual(["1\t1\tsub/a.txt", "1\t0\tsub/b.txt", "2\t0\tsub/new.txt"]);
      expect(built.changed).toEqual(["sub/a.txt", "sub/new.txt"]);
      expect(preview.kind).toBe("clean");
      git("work", "apply", patch);
      expect(read("sub/a.txt")).toBe(crlf(LINES).replace("line 30", "LINE 30"));
      rmSync(patch);
      git("work", "stash", "--include-untracked", "--quiet");
      git("work", "merge", "--quiet", branch);
      expect(read("sub/a.txt")).toBe(crlf(LINES).replace("line 30", "LINE 30"));
      expect(git("work", "status", "--porcelain")).toBe("");
    });

  test("files of mixed line ends, other encodings and $Id$ change by one line, and what cannot be encoded is named", async () => {
    repository("work");
    git("work", "config", "core.safecrlf", "true");
    write("work/.gitattributes", "*.utf16 text working-tree-encoding=UTF-16LE\n*.id ident\n*.txt -text\n");
    const utf16 = (text: string) => Buffer.from(text, "utf16le");
    writeFileSync(join(home, "work/a.utf16"), utf16(lf(LINES)));
    writeFileSync(join(home, "work/b.utf16"), utf16("b\n"));
    write("work/a.id", `$Id$\n${lf(LINES)}`);
    write("work/mixed.txt", crlf(LINES.slice(0, 10)) + lf(LINES.slice(10)));
    commit();
    rmSync(join(home, "work/a.id"));
    git("work", "checkout", "--quiet", "a.id");
    expect(read("a.id")).toMatch(/^\$Id: [0-9a-f]{40} \$/);
    const edit = `${EDIT} a.id mixed.txt; iconv -f UTF-16LE -t UTF-8 a.utf16 | sed s/'line 30'/'LINE 30'/ | iconv -f UTF-8 -t UTF-16LE > x; mv x a.utf16; printf 'odd' > b.utf16`;
    const { branch, patch, leftOut } = await job(edit);
    expect(numstat(branch)).toEqual(["1\t1\ta.id", "1\t1\ta.utf16", "1\t1\tmixed.txt"]);
    expect([...leftOut]).toEqual([["b.utf16", expect.stringContaining("cannot be converted")]]);
    git("work", "apply", patch);
    expect(readFileSync(join(home, "work/a.utf16"), "utf16le")).toBe(lf(LINES).replace("line 30", "LINE 30"));
  });

  test("modes stay as they are where core.fileMode is off, and a file in place of a link stays a link where core.symlinks is", async () => {
    repository("work");
    write("work/tool.sh", "echo\n");
    write("work/a.txt", lf(LINES));
    chmodSync(join(home, "work/tool.sh"), 0o755);
    git("work", "add", "--all");
    const link = git("work", "hash-object", "-w", "a.txt");
    expect(link).toHaveLength(40);
    write("work/target", "a.txt");
    git("work", "update-index", "--add", "--cacheinfo", `120000,${git("work", "hash-object", "-w", "target")},target`);
    git("work", "commit", "--quiet", "-m", "First");
    git("work", "config", "core.fileMode", "false");
    git("work", "config", "core.symlinks", "false");
    chmodSync(join(home, "work/tool.sh"), 0o644);
    chmodSync(join(home, "work/a.txt"), 0o755);
    const { branch, built } = await job(
      `${EDIT} a.txt; echo more >> tool.sh; chmod +x a.txt; printf b.txt > target; echo x > run; chmod +x run`,
    );
    expect(git("work", "diff", "--summary", "main", branch)).toBe(" create mode 100644 run");
    expect(git("work", "ls-tree", branch, "tool.sh", "target")).toMatch(/^100755 .*tool.sh$|^120000 .*target$/m);
    expect(git("work", "show", `${branch}:target`)).toBe("b.txt");
    expect(built.remarks.join()).toContain("run");
  });

  test("files that the user hides from git are the committed ones, also for the job, and are named", async () => {
    repository("work");
    write("work/config/local.yml", "password: none\n");
    write("work/config/other.yml", "password: none\n");
    write("work/same.yml", "same\n");
    write("work/away/x.txt", "x\n");
    write("work/a.txt", "a\n");
    commit();
    git("work", "update-index", "--skip-worktree", "config/local.yml", "same.yml", "away/x.txt");
    git("work", "update-index", "--assume-unchanged", "config/other.yml");
    write("work/config/local.yml", "password: hunter2\n");
    write("work/config/other.yml", "password: hunter3\n");
    rmSync(join(home, "work/away"), { recursive: true });
    write("work/mine.txt", "not committed\n");
    const { branch, base, notes } = await job("grep -r hunter . || echo b > a.txt; ls away && exit 1; cat config/*");
    expect(numstat(branch)).toEqual(["1\t1\ta.txt", "1\t0\tmine.txt"]);
    expect(git("work", "grep", "--name-only", "-e", "password: none", branch)).toContain("config/local.yml");
    expect(notes).toContain("config/local.yml, config/other.yml");
    expect(notes).not.toContain("same.yml");
    const kept = execFileSync("/bin/sh", ["-c", 'grep -rl hunter "$0" || true', jobs.stateDir()], {
      encoding: "utf8",
    });
    expect(kept).toBe("");
    const untold = await job("echo b > a.txt; echo same >> same.yml");
    expect(untold.built.remarks).toEqual([]);
    const edited = await job("echo port: 1 >> config/local.yml; echo c > new.txt");
    expect(numstat(edited.branch)).toContain("1\t0\tconfig/local.yml");
    expect(edited.built.remarks.join()).toMatch(/hide.* from git.*: config\/local\.yml\./);
    expect(base.notes).toHaveLength(2);
    expect(base.notes.join()).toContain(
      "not checked out (skip-worktree, as in a sparse checkout) were left out: 1, in away",
    );
  });

  test("files of a filter program stay what they are in the repository; changed ones are left out by name", async () => {
    repository("work");
    const ran = join(home, "filter-ran");
    const pointer = (text: string) =>
      `version https://git-lfs.github.com/spec/v1\noid sha256:${createHash("sha256").update(text).digest("hex")}\nsize ${text.length}\n`;
    write("work/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n*.key filter=git-crypt\n");
    for (const name of ["same", "edited", "mine"]) {
      write(`work/${name}.bin`, pointer(name));
      git("work", "add", `${name}.bin`);
    }
    write("work/a.key", "\0GITCRYPT\0");
    commit();
    for (const name of ["same", "edited", "mine"]) write(`work/${name}.bin`, name); // as git-lfs leaves them
    const asLeft = `sh -c 'text=$(cat); printf "version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n" $(printf %s "$text" | sha256sum | cut -d" " -f1) \${#text}'`;
    git("work", "-c", `filter.lfs.clean=${asLeft}`, "-c", "filter.git-crypt.clean=cat", "add", "--all");
    expect(git("work", "diff", "--cached", "--name-only")).toBe("");
    for (const [name, program] of [
      ["lfs", "clean"],
      ["lfs", "smudge"],
      ["lfs", "process"],
      ["git-crypt", "clean"],
    ])
      git("work", "config", `filter.${name}.${program}`, `touch ${ran}; cat`);
    git("work", "config", "filter.lfs.required", "true");
    rmSync(ran, { force: true });
    write("work/mine.bin", "changed by the user");
    write("work/fresh.bin", "new of the user");
    const { branch, notes, leftOut } = await job(
      "cat same.bin; echo more >> edited.bin; echo raw > new.bin; cp same.bin copy.bin; echo secret > b.key; echo x > x.txt",
    );
    expect(existsSync(ran)).toBe(false);
    const raw = (path: string) => git("work", "cat-file", "blob", `${branch}:${path}`);
    for (const name of ["same", "edited", "mine"]) expect(`${raw(`${name}.bin`)}\n`).toBe(pointer(name));
    expect(`${raw("copy.bin")}\n`).toBe(pointer("same"));
    expect(git("work", "diff", "--name-only", "main", branch).split("\n")).toEqual(["copy.bin", "x.txt"]);
    expect([...leftOut.keys()].sort()).toEqual(["b.key", "edited.bin", "new.bin"]);
    expect(leftOut.get("edited.bin")).toMatch(/filter "lfs".*mode "files"/);
    expect(notes).toContain("fresh.bin, mine.bin");
  });

  test("a filtered file in conflict stays as the user's commit has it, never as the other side has it", async () => {
    repository("work");
    git("work", "config", "filter.lfs.clean", "cat");
    write("work/.gitattributes", "*.bin filter=lfs -text\n");
    write("work/x.bin", "first");
    commit();
    for (const [branch, text] of [["x", "theirs"], ["main", "ours"]] as const) {
      git("work", "switch", "--quiet", ...(branch === "x" ? ["-c"] : []), branch);
      write("work/x.bin", text);
      if (branch === "x") write("work/their.bin", "theirs");
      git("work", "add", "--all");
      git("work", "commit", "--quiet", "-m", branch);
    }
    git("work", "branch", "deleted", "main~1");
    expect(() => git("work", "merge", "x")).toThrow();
    git("work", "checkout", "--ours", "x.bin");
    const { branch } = await job("echo c > c.txt");
    git("work", "merge", "--abort");
    expect(git("work", "diff", "--name-only", "main", branch).split("\n")).toEqual(["c.txt", "their.bin"]);
    git("work", "merge", "--quiet", branch);
    expect(read("x.bin")).toBe("ours");
  }); // biome-ignore format: one line

  test("without Git LFS no bytes take a pointer's place, and no filter runs that only the environment has", async () => {
    repository("work");
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:11\nsize 5\n";
    write("work/.gitattributes", "*.bin filter=lfs -text\n");
    for (const name of ["a", "b"]) write(`work/${name}.bin`, pointer);
    commit();
    const ran = join(home, "filter-ran");
    const settings = ["clean", "process", "smudge"].map((program) => `'filter.lfs.${program}'='touch ${ran}; cat'`);
    env.GIT_CONFIG_PARAMETERS = `${settings.join(" ")} 'filter.lfs.required'='true'`;
    const make =
      "(cat b.bin; echo y) > like.bin; printf raw > a.bin; sed s/11/12/ b.bin > c.bin; : > empty.bin; printf '*.dos text\\n' >> .gitattributes; printf 'x\\r\\n' > x.dos";
    try {
      const { leftOut, branch } = await job(make);
      expect([...leftOut.keys()].sort()).toEqual(["a.bin", "like.bin"]);
      const raw = (path: string) => git("work", "cat-file", "blob", `${branch}:${path}`);
      expect([`${raw("a.bin")}\n`, `${raw("c.bin")}\n`, raw("empty.bin"), raw("x.dos")]).toEqual([
        pointer,
        pointer.replace("11", "12"),
        "",
        "x",
      ]);
      expect(git("work", "cat-file", "-s", `${branch}:x.dos`)).toBe("2");
      expect(existsSync(ran)).toBe(false);
    } finally {
      delete env.GIT_CONFIG_PARAMETERS;
    }
  });

  test("a sparse checkout loses nothing, whatever flags its files have", async () => {
    repository("work");
    for (const path of ["in/a.txt", "out/b.txt", "out/c.txt", "top.txt"]) write(`work/${path}`, lf(LINES));
    commit();
    git("work", "sparse-checkout", "set", "--cone", "in");
    git("work", "update-index", "--skip-worktree", "--assume-unchanged", "top.txt");
    write("work/top.txt", "token = hunter2\n");
    git("work", "update-index", "--skip-worktree", "--assume-unchanged", "top.txt");
    const { branch, built } = await job(
      `${EDIT} in/a.txt; test ! -e out; mkdir out; echo new > out/new.txt; grep hunter -r . && exit 1; true`,
    );
    expect(numstat(branch).slice(0, 1)).toEqual(["1\t1\tin/a.txt"]);
    expect(git("work", "ls-tree", "-r", "--name-only", branch).split("\n")).toEqual([
      ...["in/a.txt", "out/b.txt", "out/c.txt", "top.txt"],
    ]);
    expect(built.changed).toEqual(["in/a.txt"]);
    expect(built.leftOut.map(({ path }) => path)).toEqual(["out/new.txt"]);
  });

  test("new files that the user ignores by rules outside the project are left out by name, and his own files stay", async () => {
    repository("work");
    write("work/.gitignore", "*.tmp\n!kept.log\n");
    for (const path of ["a.txt", "tracked.log", "sub/a.txt"]) write(`work/${path}`, "a\n");
    commit();
    write(".config/git/ignore", "__pycache__/\n*.log\n.env\n");
    write("work/.git/info/exclude", "/local\n!sub/shown.log\n");
    write("work/.env", "KEY=mine\n");
    const { branch, built, leftOut } = await job(
      `test ! -e .env; echo KEY=job > .env; mkdir __pycache__ local new; echo p > __pycache__/a.pyc; ln -s ../a.txt __pycache__/link
       git add -A; git commit -q -m One; for f in run.log kept.log tracked.log local/x new/local sub/shown.log sub/run.log a.txt; do echo b > $f; done
       echo f > forced.tmp; git add -f forced.tmp; printf '!late.log\n' > new/.gitignore; echo l > new/late.log`,
    );
    expect([...built.changed].sort()).toEqual([
      ...["a.txt", "forced.tmp", "kept.log", "new/.gitignore", "new/late.log", "new/local"],
      ...["sub/shown.log", "tracked.log"],
    ]);
    expect([...leftOut.keys()].sort()).toEqual([...[".env", "__pycache__/", "local/", "run.log", "sub/run.log"]]);
    for (const why of leftOut.values()) expect(why).toContain("your git ignores it");
    git("work", "checkout", "--quiet", branch);
    expect(read(".env")).toBe("KEY=mine\n");
  });
});
