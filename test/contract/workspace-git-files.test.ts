import { describe, expect, test } from "bun:test";
import { bubblewrap } from "../support/sandboxes.ts";
import { git, home, repository, useHome, write } from "./home-support.ts";
import { useJobs } from "./shapes-support.ts";

/* What a job makes of the files that git itself reads never breaks the user's repository, nor does it block the rest. */

useHome();

describe.skipIf(!bubblewrap)("a job's changes come back without", () => {
  const { job } = useJobs();
  const LONG = `*.x ${"y".repeat(3_000)}\n`;

  function project(files: Readonly<Record<string, string>>): void {
    repository("work");
    for (const [path, text] of Object.entries(files)) write(`work/${path}`, text);
    git("work", "add", "--all");
    git("work", "commit", "--quiet", "-m", "First");
  }

  async function collect(script: string) {
    const { built, branch } = await job("work", script);
    const lines = branch === null ? "" : git("work", "diff", "--name-status", "--no-renames", "main", branch);
    return { changes: lines.split("\n").filter(Boolean), left: built.leftOut, subjects: built.commits.map((one) => one.subject) };
  } // biome-ignore format: one line

  test("files of git's own that it refuses, which are named: the good commits are there", async () => {
    project({ "a.txt": "a\n", "sub/.gitattributes": LONG });
    const { changes, left, subjects } = await collect(
      `for n in 1 2 3; do echo $n > a.txt; git commit -qam $n; done
      echo '*.z text' >> sub/.gitattributes; { cat sub/.gitattributes; } > .gitattributes
      printf '[submodule "x"]\\n\\tpath = -x\\n\\turl = -u\\n' > .gitmodules; mkdir ok; printf '*.q text\\n' > ok/.gitattributes; git add -A; git commit -qm Bad`,
    );
    expect(changes).toEqual(["M\ta.txt", "A\tok/.gitattributes"]);
    expect(subjects).toEqual(["1", "2", "3", "Bad"]);
    expect(left.map(({ path }) => path).sort()).toEqual([".gitattributes", ".gitmodules", "sub/.gitattributes"]);
    expect(left.find(({ path }) => path === ".gitattributes")?.why).toMatch(/too long.*mode "files"/);
  });

  test("trouble in repositories that the job makes, whose author is the user too", async () => {
    project({ "a.txt": "a\n" });
    const { changes } = await collect(
      `git init -q /tmp/other; cd /tmp/other; git commit -q --allow-empty -m x; git log -1 --format='%an <%ae>' > "$OLDPWD/own.txt"
      git config --global user.name Set; git log -1 >/dev/null`,
    );
    expect(changes).toEqual(["A\town.txt"]);
  });

  function withSubmodule(): void {
    project({ "a.txt": "a\n" });
    repository("up");
    write("up/x.txt", "x\n");
    git("up", "add", ".");
    git("up", "commit", "--quiet", "-m", "Up");
    git("work", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", `${home}/up`, "lib");
    git("work", "commit", "--quiet", "-m", "Add lib");
  }

  const HALVES: readonly (readonly [what: string, script: string])[] = [
    ["vendored", "rm .gitmodules; echo patched >> lib/x.txt; git add -A; git commit -qm Vendor; echo A > a.txt"],
    ["removed", "rm -rf lib .gitmodules; echo A > a.txt"],
  ];
  for (const [what, script] of HALVES)
    test(`half of a submodule that it has ${what}`, async () => {
      withSubmodule();
      const { changes, left } = await collect(script);
      expect(changes).toEqual(["M\ta.txt"]);
      expect(left.map(({ path }) => path).sort()).toEqual([".gitmodules", "lib/"]);
    });

  test("the entry of a submodule that it has added, whose files come as files", async () => {
    project({ "a.txt": "a\n" });
    const { changes, left } = await collect(
      `git init -q /tmp/up; cd /tmp/up; echo x > lib.c; git add .; git -c user.name=x -c user.email=x@y.z commit -qm Up; cd - >/dev/null
      git -c protocol.file.allow=always submodule --quiet add /tmp/up vendor/up; git commit -qm Add`,
    );
    expect(changes).toEqual(["A\tvendor/up/lib.c"]);
    expect(left.map(({ path }) => path)).toContain(".gitmodules");
  });

  test("nothing of a submodule's settings that names the same submodules", async () => {
    withSubmodule();
    const { changes } = await collect("git config -f .gitmodules submodule.lib.branch next");
    expect(changes).toEqual(["M\t.gitmodules"]);
  });
});
