import { expect, test } from "bun:test";
import { browsersOf } from "../../../src/cli/open-in-browser.ts";

const ADDRESS = "file:///tmp/a%25b";
const lines = (env: NodeJS.ProcessEnv, platform: NodeJS.Platform = "linux", there: readonly string[] = []) =>
  browsersOf(env, platform, (path) => there.includes(path as string)).map((browser) => browser(ADDRESS));

test("the page is opened with the user's own browser, else with the desktop's, and not on a machine without one", () => {
  expect(lines({ BROWSER: "firefox", SSH_CONNECTION: "1" })).toEqual([["firefox", ADDRESS]]);
  expect(lines({ DISPLAY: ":0" })).toEqual([["xdg-open", ADDRESS]]);
  expect(lines({ WAYLAND_DISPLAY: "wayland-0" })).toEqual([["xdg-open", ADDRESS]]);
  expect(lines({}, "darwin")).toEqual([["open", ADDRESS]]);
  expect(lines({})).toEqual([]);
  expect(lines({ DISPLAY: ":0", SSH_CONNECTION: "1" })).toEqual([]);
});

test.each([
  ["firefox %s:chromium", [["firefox", ADDRESS], ["chromium", ADDRESS]]],
  ["firefox --new-window '%s' -P \"my profile\"", [["firefox", "--new-window", ADDRESS, "-P", "my profile"]]],
  ["app --url=%s&x=%%s%c &", [["app", `--url=${ADDRESS}&x=%s:`]]],
  ["::  : w3m", [["w3m", ADDRESS]]],
  ["/opt/my browser/a:b", [["/opt/my browser/a:b", ADDRESS]]],
  ["/opt/my browser/c:lynx", [["/opt/my browser/c", ADDRESS], ["lynx", ADDRESS]]],
  ["$(touch /tmp/x);`id`", [["$(touch", "/tmp/x);`id`", ADDRESS]]],
  ["'' :\"\"", []],
])("BROWSER may be a list of commands: %j", (BROWSER, expected) => {
  expect(lines({ BROWSER }, "linux", ["/opt/my browser/a:b", "/opt/my browser/c"])).toEqual(expected);
}); // biome-ignore format: a table
