import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { isWithin } from "../../../../src/config/host-paths.ts";
import type { Places } from "../../../../src/sandboxes/local/bubblewrap/lent/private-places.ts";
import { readSystemFolders } from "../../../../src/sandboxes/local/bubblewrap/lent/system-folders.ts";
import { NO_RESOLVER, readEtc } from "../../../../src/sandboxes/local/bubblewrap/root-filesystem.ts";

const ELSEWHERE = { home: "/home/ada", neverLent: ["/home/ada/state"], project: "/srv/project", inside: [] };

/** Without the files that this machine's administrator has closed. */
function read(places: Places) {
  const { programs, refused } = readSystemFolders(places);
  return { programs, refused: refused.filter(({ why }) => !why.includes("everybody")) };
}

/** Folders of programs that are lent, as a whole or without single files of theirs. */
const programsOf = (places: Places) =>
  ["/usr/bin", "/usr/lib", "/usr/share", "/usr/src"].filter((path) =>
    read(places).programs.binds.some((bound) => isWithin(path, bound)),
  );

describe("of the system's folders a sandbox gets", () => {
  test("all, where nothing of the user's is in them", () => {
    expect(read(ELSEWHERE).refused).toEqual([]);
    expect(programsOf(ELSEWHERE)).toContain("/usr/bin");
  });

  for (const [what, places] of [
    ["the project", { project: "/usr/src/app" }],
    ["the home", { home: "/usr/local/google/home/ada" }],
    ["the state directory, which may not exist yet", { neverLent: ["/usr/local/share/none/state"] }],
    ["all of them", { home: "/usr/games/ada", neverLent: ["/usr/games/ada/state"], project: "/usr/src" }],
  ] as const)
    test(`no part of ${what}`, () => {
      const given = { ...ELSEWHERE, ...places };
      const { programs, refused } = read(given);
      const own = [given.home, ...given.neverLent, given.project].filter((path) => isWithin(path, "/usr"));
      expect(own.length).toBeGreaterThan(0);
      for (const path of own) {
        expect(programs.binds.filter((bound) => isWithin(path, bound) || isWithin(bound, path))).toEqual([]);
        expect(refused.some((place) => isWithin(path, place.path))).toBe(true);
      }
      for (const needed of ["/usr/bin", "/usr/lib"]) expect(programs.binds).toContain(needed);
    });

  test("no part of the homes beside the user's", () => {
    const { programs, refused } = read({ ...ELSEWHERE, home: "/usr/local/google/home/ada" });
    expect(programs.binds.filter((bound) => isWithin("/usr/local/google/home/bob", bound))).toEqual([]);
    expect(refused).toEqual([{ path: "/usr/local/google/home", why: "it holds the home directory" }]);
  });

  for (const project of ["/usr", "/usr/bin", "/usr/local", "/usr/share"])
    test(`nothing, and the reason, where the project is ${project}`, () => {
      expect(() => readSystemFolders({ ...ELSEWHERE, project })).toThrow(
        `Jobs may not see ${project}, because it is the project, and it cannot be left out of what they see of the system, because it holds`,
      );
    });

  const crowded = ["/usr/bin", "/usr/share"].find((path) => existsSync(path) && readdirSync(path).length > 1_000);
  test.skipIf(crowded === undefined)("nothing, and the reason, where the project lies in a folder of very many", () => {
    expect(() => readSystemFolders({ ...ELSEWHERE, project: `${crowded}/app` })).toThrow(
      `it lies among too many other files of ${crowded}`,
    );
  });

  test("all, where the home is no folder of its own", () => {
    expect(programsOf({ ...ELSEWHERE, home: "/" })).toEqual(programsOf(ELSEWHERE));
  });
});

test("of a folder of /etc a sandbox does not get what is hidden", () => {
  const { binds } = readEtc(NO_RESOLVER, []);
  const folder = binds.find(({ at }) => at === "/etc/ssl/certs");
  if (folder === undefined) return; // this machine has none
  const hidden = `${folder.from}/${readdirSync(folder.from)[0]}`;
  const without = readEtc(NO_RESOLVER, [hidden]);
  expect(without.binds.filter(({ from }) => isWithin(hidden, from))).toEqual([]);
  expect([...without.binds, ...without.links].some(({ at }) => at.startsWith("/etc/ssl/certs/"))).toBe(true);
  expect(readEtc(NO_RESOLVER, ["/etc"]).binds.filter(({ from }) => isWithin(from, "/etc"))).toEqual([]);
});
