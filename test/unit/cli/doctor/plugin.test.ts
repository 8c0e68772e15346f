import { describe, expect, test } from "bun:test";
import { judgeEntries } from "../../../../src/cli/doctor/checks/plugin.ts";
import type { PluginEntry } from "../../../../src/cli/doctor/plugin-entries.ts";

const OWN = { root: "/plugin", version: "0.1.0" };
const found = { root: "/plugin", name: "opencode-parallel-agents", version: "0.1.0", dependencies: {}, isThisPlugin: true, isBuilt: true }; // biome-ignore format: one line

const entry = (change: Partial<PluginEntry> = {}): PluginEntry => ({
  source: "/home/ada/.config/opencode/opencode.json",
  spec: "/plugin",
  options: undefined,
  path: "/plugin",
  exists: true,
  found,
  isMeant: true,
  ...change,
});

const judge = (server: PluginEntry[], tui: PluginEntry[] = [entry({ source: "/t/tui.json" })], isPure = false) =>
  judgeEntries({ server, tui, unreadable: [], misplaced: [] }, OWN, { isPure }).map(
    ({ level, name, meaning, remedy }) => `${level} ${name}: ${meaning} ${remedy ?? ""}`,
  );

describe("the entries of the plugin in OpenCode's configuration", () => {
  test("are in order where both parts are named once", () => {
    expect(judge([entry()])).toEqual([
      "ok plugin-entry: Loaded from /plugin, as /home/ada/.config/opencode/opencode.json says. ",
      "ok tui-entry: In the terminal UI too, from /plugin, as /t/tui.json says. ",
    ]);
  });

  test.each<[string, PluginEntry[], RegExp]>([
    ["nothing names it", [], /^fault plugin-entry: None of .*opencode plugin \/plugin -g$/],
    [
      "a path is gone that may be meant",
      [entry({ path: "/old", exists: false, found: null, isMeant: false })],
      /^fault .*which may be meant: \/old/,
    ],
    ["its path is gone", [entry({ exists: false, found: null })], /^fault .*where nothing is/],
    ["it is not built", [entry({ found: { ...found, isBuilt: false } })], /^fault .*not built.* npm ci$/],
    ["another version is loaded", [entry({ found: { ...found, root: "/b", version: "0.0.9" } })], /^fault .*version 0.0.9 from \/b.*0\.1\.0/],
    ["another package has the name", [entry({ found: { ...found, isThisPlugin: false } })], /^fault .*another package of the same name/],
    ["npm is to be asked", [entry({ spec: "opencode-parallel-agents", path: null, found: null })], /^warning .*whatever npm has/],
    ["another copy is loaded", [entry({ found: { ...found, root: "/b" } })], /^warning .*another copy .*\/b/],
    ["two paths lead to it", [entry(), entry({ path: "/link", spec: "/link" })], /^warning .*2 different paths.*only the one that it loads first does anything/],
    ["a slash sets them apart", [entry(), entry({ spec: "/plugin/" })], /^warning .*2 different paths/],
    ["options are replaced", [entry({ options: {} }), entry({ source: "/p/opencode.json" })], /^warning .*do not count: \/p/],
  ])("%s", (_, server, expected) => {
    expect(judge(server)[0]).toMatch(expected);
  }); // biome-ignore format: a table

  test("that are named twice alike load it once", () => {
    expect(judge([entry(), entry({ source: "/p/opencode.json" })])[0]).toStartWith("ok ");
  });

  test.each<[string, PluginEntry[], RegExp]>([
    ["missing", [], /^warning tui-entry: No tui\.json .*opencode plugin \/plugin -g/],
    ["twice", [entry(), entry()], /^warning tui-entry: The plugin is named 2 times/],
    ["of another version", [entry({ found: { ...found, version: "9.9.9" } })], /^fault tui-entry: .*9\.9\.9/],
    [
      "of another package",
      [entry({ found: { ...found, isThisPlugin: false } })],
      /^fault tui-entry: .*not this plugin/,
    ],
  ])("an entry for the terminal UI that is %s", (_, tui, expected) => {
    expect(judge([entry()], tui)[1]).toMatch(expected);
  });

  test("do not help where OpenCode loads no plugins, or cannot read a file", () => {
    expect(judge([entry()], undefined, true)[0]).toMatch(/^fault plugin-entry: OPENCODE_PURE/);
    const broken = {
      server: [],
      tui: [],
      unreadable: [{ file: "/c/opencode.json", found: "a syntax error at line 1" }],
      misplaced: [],
    };
    expect(judgeEntries(broken, OWN, { isPure: false })[0]).toMatchObject({
      level: "fault",
      name: "opencode-config",
      remedy: "Correct /c/opencode.json.",
    });
  });

  test("are shown without what a hostile repository put in their names", () => {
    const hostile = entry({ source: "/p/\u001b[31m\nok: all is well/opencode.json", exists: false, found: null });
    for (const line of judge([hostile])) expect([line.includes("\u001b"), line.includes("\n")]).toEqual([false, false]);
  });
});
