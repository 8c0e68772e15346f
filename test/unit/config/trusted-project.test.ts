import { describe, expect, test } from "bun:test";
import { loaded, loadWith, optionsOf, PROJECT_FILE, problemsOf, sha256, trusting, USER_FILE } from "./load-with.ts";

describe("trust in a project", () => {
  const all = { local: { isolation: "none" }, maxRunningJobs: 99, stateDir: "/srv/state" };

  test("makes all of its file count", async () => {
    expect(await loaded(trusting(all))).toMatchObject({ options: all, ignored: [], notices: [] });
  });

  test("applies to the path with links resolved", async () => {
    const given = trusting(all);
    const links = { "/home/ada/link": "/project" };
    const user = (given.user as string).replace('"/project"', '"~/link"');
    expect(await optionsOf({ ...given, user, links })).toMatchObject(all);
  });

  test("does not apply to another project, nor to a path that only begins the same", async () => {
    for (const path of ["/projects", "/", "/project/sub"]) {
      const given = trusting(all);
      const user = (given.user as string).replace('"/project"', JSON.stringify(path));
      expect(await optionsOf({ ...given, user })).toMatchObject({ maxRunningJobs: 8, local: { isolation: "auto" } });
    }
  });

  test("does not make the file's own trustedProjects count", async () => {
    const result = await loaded(trusting({ ...all, trustedProjects: { "/other": "0".repeat(64) } }));
    expect(Object.keys(result.options.trustedProjects)).toEqual(["/project"]);
    expect(result.ignored.map(({ key }) => key)).toEqual(["trustedProjects"]);
  });

  test("cannot be given by the options tuple, which may come with the repository", async () => {
    const project = JSON.stringify(all);
    const tuple = { trustedProjects: { "/project": sha256(project) } };
    expect(await problemsOf({ project, tuple })).toMatchObject([{ key: "trustedProjects", source: "opencode.json" }]);
  });

  test("with a value that is not a SHA-256 is an error in the user's file", async () => {
    const user = '{ "trustedProjects": { "/project": "yes" } }';
    expect(await problemsOf({ user })).toMatchObject([{ key: "trustedProjects./project", source: USER_FILE }]);
  });

  test("makes errors in the file count like those in any other", async () => {
    expect(await problemsOf(trusting({ local: { isolation: "walls" } }))).toMatchObject([
      { key: "local.isolation", source: PROJECT_FILE },
    ]);
  });
});

describe("a project's file is not read", () => {
  const project = '{ "maxRunningJobs": 1, "unheard": 1 }';
  test.each(["1", "true", "TRUE"])("with OPENCODE_DISABLE_PROJECT_CONFIG=%s", async (value) => {
    const result = await loaded({ project, env: { OPENCODE_DISABLE_PROJECT_CONFIG: value } });
    expect(result).toMatchObject({ options: { maxRunningJobs: 8 }, sources: [], notices: [] });
  });
  test("by the command line", async () => {
    expect(await loaded({ project, directory: null })).toMatchObject({ options: { maxRunningJobs: 8 }, sources: [] });
  });
  test.each(["0", "false", "", "yes"])(
    "but with OPENCODE_DISABLE_PROJECT_CONFIG=%p it is, as by the host",
    async (value) => {
      expect((await loadWith({ project, env: { OPENCODE_DISABLE_PROJECT_CONFIG: value } })).kind).toBe("invalid");
    },
  );
});
