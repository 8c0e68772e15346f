import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readSync } from "node:fs";
import { withAnonymousFiles } from "../../../../src/sandboxes/local/anonymous-file.ts";
import { commandScript, READ_SCRIPT, READ_SCRIPT_ON_LINUX } from "../../../../src/sandboxes/local/shell-script.ts";

const SHELLS = ["dash", "bash", "busybox"].filter(
  (name) => existsSync(`/bin/${name}`) || existsSync(`/usr/bin/${name}`),
);
const READERS = process.platform === "linux" ? [READ_SCRIPT, READ_SCRIPT_ON_LINUX] : [READ_SCRIPT];
const LONG = "x".repeat(50_000);

function runIn(shell: string, reader: string, argv: readonly string[]) {
  const script = Buffer.from(commandScript({ argv, workdir: "/", env: { LONG, SHORT: "it's\n$HOME" }, tty: false }));
  return withAnonymousFiles([script], ([fd = -1]) => {
    const [file, ...first] = shell === "busybox" ? ["busybox", "sh"] : [shell];
    const { stdout, stderr, status } = spawnSync(file as string, [...first, "-c", reader], {
      stdio: ["ignore", "pipe", "pipe", fd],
      encoding: "utf8",
    });
    const mark = Buffer.alloc(64);
    readSync(fd, mark, 0, 64, script.length);
    return { stdout, stderr, status, mark: String(mark).replaceAll("\0", "").replace(/\d+/, "pid") };
  });
}

for (const shell of SHELLS)
  for (const reader of READERS)
    test.each([
      ["a program", ["printf", "%s", "a  b'$c"], "a  b'$c", 0],
      [
        "code, its name and words",
        ["/bin/sh", "-c", 'printf "[%s]" "$@" "$SHORT" "${#LONG}"', "sh", "a  b", "-n"],
        "[a  b][-n][it's\n$HOME][50000]",
        0,
      ],
      ["code that fails", ["/bin/sh", "-c", "exit 7", "sh"], "", 7],
      ["code that ends with a comment", ["/bin/sh", "-c", "false # the end", "sh"], "", 1],
      ["long code", ["/bin/sh", "-c", `: ${LONG}\necho "$#"`, "sh"], "0\n", 0],
      ["code by another name", ["/bin/sh", "-c", 'echo "$0"', "mine"], "mine\n", 0],
      ["code that looks for the script", ["/bin/sh", "-c", "[ -e /proc/self/fd/3 ] || echo gone", "sh"], "gone\n", 0],
    ] as const)(`${shell} runs %s once it has read it (${reader})`, (_, argv, stdout, status) => {
      expect(runIn(shell, reader, argv)).toEqual({ stdout, stderr: "", status, mark: "S pid\n" });
    });
