import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { launcherArgs } from "../../../../src/sandboxes/local/bubblewrap/launcher.ts";

const SHOW = 'for f in /proc/self/fd/*; do [ -e "$f" ] && echo "${f##*/}"; done; printf "[%s]" "$@"';

test.each([
  ["none", []],
  ["some that a plain shell can name", [4, 7, 9]],
  ["some that it cannot", [5, 10, 63, 200]],
])("a program gets its own descriptors and none of those that the host process leaked: %s", (_, leaked) => {
  const { file, args } = launcherArgs(3, [], ["/bin/sh", "-c", SHOW, "show", "a  b", "--", "$c"], { oomScore: 500 });
  const leak = `exec ${[3, ...leaked].map((number) => `${number}</dev/zero`).join(" ")}; exec "$@"`;
  const { stdout, stderr, status } = spawnSync("bash", ["-c", leak, "leak", file, ...args], { encoding: "utf8" });
  expect({ stdout, stderr, status }).toEqual({ stdout: "0\n1\n2\n3\n[a  b][--][$c]", stderr: "", status: 0 });
});

test("what is done last gets the program's words, and redirects in the order given", () => {
  const { file, args } = launcherArgs(5, [], ["/bin/sh", "-c", "cat <&6; echo said >&4"], {
    last: 'exec "$@" 6<&0 4>&1 0</dev/null',
  });
  const { stdout, stderr } = spawnSync(file, args, { encoding: "utf8", input: "read " });
  expect({ stdout, stderr }).toEqual({ stdout: "read said\n", stderr: "" });
});
