import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { captureTree } from "../../src/workspace/project/capture-tree.ts";
import { isRoot, runAlsoAsOrdinaryUser, who } from "../support/as-ordinary-user.ts";
import { base, capture, env, git, home, repository, useHome, write } from "./home-support.ts";
import { storeAt } from "./workspace-support.ts";

/* Projects of which the user may not read everything, or that belong to somebody else. */

useHome();
runAlsoAsOrdinaryUser(import.meta.path);

const at = (path: string) => join(home, path);

describe.skipIf(isRoot())(`what cannot be read, as ${who}`, () => {
  const CLOSED: readonly (readonly [what: string, closed: string[], missing: string[]])[] = [
    ["a tracked file", ["src/a"], ["src/a"]],
    ["a changed file", ["src/changed"], ["src/changed"]],
    ["a folder with tracked files", ["src"], ["src/a", "src/changed"]],
    ["an untracked file", ["loose"], ["loose"]],
    ["an untracked folder", ["new"], ["new/in"]],
    ["a folder in a nested repository", ["nested/dir"], ["nested/dir/f"]],
    ["a file and a folder in a folder", ["new/in", "src/a"], ["new/in", "src/a"]],
  ];

  for (const [what, closed, missing] of CLOSED)
    test(`${what}: is left out by name, the rest is copied, and nothing seems removed`, async () => {
      repository("work");
      for (const path of ["src/a", "src/changed", "b"]) write(`work/${path}`, `${path}\n`);
      git("work", "add", ".");
      git("work", "commit", "--quiet", "-m", "First");
      for (const path of ["src/changed", "loose", "new/in"]) write(`work/${path}`, `${path}, changed\n`);
      repository("work/nested");
      write("work/nested/dir/f", "f\n");
      write("work/nested/g", "g\n");
      for (const path of closed) chmodSync(at(`work/${path}`), 0);
      try {
        const { names, notes, withheld, tree } = await capture("work");
        const all = ["b", "loose", "nested/dir/f", "nested/g", "new/in", "src/a", "src/changed"];
        expect(names).toEqual(all.filter((path) => !missing.includes(path)));
        expect(withheld).toEqual(closed);
        expect(notes).toEqual([`what you may not read was left out: ${closed.join(", ")}`]);
        const store = await storeAt(at("work"), join(base, "state"), env);
        const listed = String(await store.run(["ls-tree", "-r", "--name-only", tree])).split("\n");
        expect(listed).toEqual(expect.arrayContaining(["b", "src/a", "src/changed"]));
      } finally {
        for (const path of closed) chmodSync(at(`work/${path}`), 0o755);
      }
    });
});

describe.skipIf(!isRoot())("a repository of another owner", () => {
  const captureAs = async (more: Record<string, string>) => {
    const store = await storeAt(at("work"), join(base, "state"), { ...env, ...more });
    return captureTree(store, "owner");
  };
  const giveAway = (folder: string) => execFileSync("chown", ["-R", "31337:31337", at(folder)]);
  const setting = (n: number, key: string, value: string) => ({
    [`GIT_CONFIG_KEY_${n}`]: key,
    [`GIT_CONFIG_VALUE_${n}`]: value,
  });

  test("is refused in words that say what to do, and read where its user trusts it, by whatever setting", async () => {
    repository("work");
    write("work/a.txt", "a\n");
    git("work", "add", ".");
    git("work", "commit", "--quiet", "-m", "First");
    git("work", "config", "filter.x.clean", "false");
    giveAway("work");
    await expect(captureAs({})).rejects.toThrow(
      /belongs to another user.*run the git config command that follows.*--add safe\.directory/s,
    );
    writeFileSync(at("trust"), `[safe]\n\tdirectory = ${at("work")}\n`);
    for (const more of [
      { GIT_CONFIG_COUNT: "2", ...setting(0, "filter.y.clean", "false"), ...setting(1, "safe.directory", at("work")) },
      { GIT_CONFIG_PARAMETERS: "'safe.directory'='*'" },
      { GIT_CONFIG_GLOBAL: at("trust") },
    ] as Record<string, string>[])
      expect((await captureAs(more)).head).toMatch(/^[0-9a-f]{40}$/);
  });

  test("among the project's files is named with what to do, and so is a submodule that was never fetched", async () => {
    repository("part");
    write("part/p.txt", "p\n");
    git("part", "add", ".");
    git("part", "commit", "--quiet", "-m", "Part");
    repository("work");
    for (const name of ["mine", "theirs", "empty"])
      git("work", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", at("part"), name);
    git("work", "commit", "--quiet", "-m", "With parts");
    git("work", "submodule", "--quiet", "deinit", "empty");
    write("work/mine/p.txt", "edited\n");
    mkdirSync(at("work/mine/deeper"));
    git("work/mine", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", at("part"), "inner");
    giveAway("work/theirs");
    giveAway("work/.git/modules/theirs");
    const { names, notes } = await capture("work");
    expect(names.filter((name) => name.includes("p.txt"))).toEqual(["mine/inner/p.txt", "mine/p.txt"]);
    expect(notes).toEqual([
      "the submodule empty/ is empty here: it was never fetched (git submodule update --init)",
      expect.stringMatching(
        /^the nested repository theirs\/ was left out: .*belongs to another user.*safe\.directory/s,
      ),
    ]);
  });
});
