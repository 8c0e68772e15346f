import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostFiles } from "../../../src/config/host-files.ts";
import { loadOptions } from "../../../src/config/load.ts";

/** What a clone may contain in place of the project's file of options. */

let root: string;
let project: string;
let file: string;
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "files-")));
});
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  project = mkdtempSync(join(root, "project-"));
  mkdirSync(join(project, ".opencode"));
  file = join(project, ".opencode/parallel-agents.jsonc");
});

const load = (directory = project) =>
  loadOptions({
    tuple: undefined,
    directory,
    configHome: join(root, "config"),
    env: { HOME: join(root, "home") },
    files: hostFiles,
  });

async function found(): Promise<string> {
  const loaded = await load();
  if (loaded.kind === "ok") throw new Error("it was taken");
  expect(loaded.problems).toHaveLength(1);
  expect(loaded.problems[0]).toMatchObject({ key: "options", source: file });
  return loaded.problems[0]?.found ?? "";
}

describe("is reported, and never waited for or followed:", () => {
  test("a pipe that nobody writes to", async () => {
    execFileSync("sh", ["-c", 'mkfifo "$0"', file]);
    expect(await found()).toBe("something that is not a file");
  });
  test("a folder", async () => {
    mkdirSync(file);
    expect(await found()).toBe("something that is not a file");
  });
  test("a link to an endless device", async () => {
    symlinkSync("/dev/zero", file);
    expect(await found()).toBe("a link that leads out of the project");
  });
  test("a link to another file of the user's, whose keys messages would show", async () => {
    writeFileSync(join(root, "auth.json"), '{ "my-secret-provider": 1 }');
    symlinkSync(join(root, "auth.json"), file);
    expect(await found()).toBe("a link that leads out of the project");
  });
  test("a folder that is a link out of the project", async () => {
    rmSync(join(project, ".opencode"), { recursive: true });
    mkdirSync(join(root, "elsewhere"), { recursive: true });
    writeFileSync(join(root, "elsewhere/parallel-agents.jsonc"), '{ "my-secret-provider": 1 }');
    symlinkSync(join(root, "elsewhere"), join(project, ".opencode"));
    expect(await found()).toBe("a link that leads out of the project");
  });
  test("a link out of a clone into a repository around it, such as the user's home", async () => {
    for (const folder of [root, project]) mkdirSync(join(folder, ".git"));
    writeFileSync(join(root, "auth.json"), '{ "my-secret-provider": 1 }');
    symlinkSync(join(root, "auth.json"), file);
    expect(await found()).toBe("a link that leads out of the project");
    rmSync(join(root, ".git"), { recursive: true });
  });
  test("a link to itself", async () => {
    symlinkSync(file, file);
    expect(await found()).toContain("ELOOP");
  });
  test("a file that is too large", async () => {
    writeFileSync(file, `{ "x": "${"y".repeat(2 * 1024 * 1024)}" }`);
    expect(await found()).toBe("a file of more than 1024 KiB");
  });
  test.each([
    ["[", 20_000],
    ['{"environments":', 5_000],
    ['{"a":[', 300_000 / 6],
  ])("%s, %i times", async (open, times) => {
    writeFileSync(file, open.repeat(times));
    expect(await found()).toBe("more than 64 levels of nesting");
  });
  test("bytes that are not text", async () => {
    writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00, 0x7b]));
    expect(await found()).toContain("a syntax error");
  });
});

test("reports the key __proto__ as unknown", async () => {
  writeFileSync(file, '{ "__proto__": { "maxRunningJobs": 1 } }');
  expect(await load()).toMatchObject({ kind: "invalid", problems: [{ key: "__proto__", found: "an unknown key" }] });
});

test("takes a dangling link for a missing file, and reads through a link inside the project", async () => {
  symlinkSync(join(root, "nowhere"), file);
  expect(await load()).toMatchObject({ kind: "ok", sources: [] });
  rmSync(file);
  writeFileSync(join(project, "options.jsonc"), '{ "maxRunningJobs": 1 }');
  symlinkSync("../options.jsonc", file);
  expect(await load()).toMatchObject({ kind: "ok", options: { maxRunningJobs: 1 } });
});

test("reads through a link from a package to its repository's file", async () => {
  mkdirSync(join(project, ".git"));
  writeFileSync(file, '{ "maxRunningJobs": 1 }');
  mkdirSync(join(project, "package"));
  symlinkSync("../.opencode", join(project, "package/.opencode"));
  expect(await load(join(project, "package"))).toMatchObject({ kind: "ok", options: { maxRunningJobs: 1 } });
});

test("refuses a state directory that links place in the project, even if it does not exist yet", async () => {
  symlinkSync(project, join(root, "innocent"));
  for (const stateDir of ["innocent/state", "innocent/a/b/c", "innocent"].map((path) => join(root, path))) {
    const tuple = { stateDir };
    const env = { HOME: join(root, "home") };
    const loaded = await loadOptions({ tuple, directory: project, configHome: root, env, files: hostFiles });
    expect(loaded).toMatchObject({
      kind: "invalid",
      problems: [{ key: "stateDir", found: `a folder inside the project ${project}` }],
    });
  }
});
