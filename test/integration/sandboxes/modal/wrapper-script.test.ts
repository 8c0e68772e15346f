import { afterAll, describe, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EndMarkScanner } from "../../../../src/sandboxes/modal/end-mark.ts";
import {
  END_GROUP_SCRIPT,
  KILLED,
  pidPathOf,
  SIGNAL_SCRIPT,
  type WrappedCommand,
  wrapperScript,
} from "../../../../src/sandboxes/modal/wrapper-script.ts";

const dir = mkdtempSync(join(tmpdir(), "wrapper-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const shells = ["sh", "dash", "bash", "busybox"].filter((shell) => Bun.which(shell));
let count = 0;

function run(shell: string, plan: Partial<WrappedCommand> & { argv: readonly string[] }, input = "") {
  const id = `t${process.pid}_${count++}`;
  // Puts the wrapper's files where the test can remove them.
  const script = wrapperScript({ id, workdir: dir, terminal: null, keepLog: false, ...plan }).replaceAll(
    "/tmp/.parallel-agents",
    join(dir, "run"),
  );
  const ran = spawnSync(shell, [...(shell === "busybox" ? ["sh"] : []), "-c", script], { input, timeout: 20_000 });
  const split = (bytes: Buffer) => new EndMarkScanner(id).push(bytes);
  const [first = "", ...rest] = ran.stdout.toString("latin1").split("\n");
  const out = split(Buffer.from(rest.join("\n"), "latin1"));
  const file = (name: string) => join(dir, "run", name);
  return {
    id, first, out: Buffer.from(out.bytes).toString(), code: out.code, isLeft: out.isLeft, err: Buffer.from(split(ran.stderr).bytes).toString(), status: ran.status,
    log: existsSync(file(`${id}.log`)) ? readFileSync(file(`${id}.log`), "utf8") : null, pidLeft: existsSync(pidPathOf(id).replace("/tmp/.parallel-agents", join(dir, "run"))),
  }; // biome-ignore format: a table
}

for (const shell of shells) {
  describe(`the wrapper, in ${shell}`, () => {
    for (const keepLog of [false, true]) {
      test(`passes arguments unchanged and reports the end ${keepLog ? "with" : "without"} a log`, () => {
        const odd = ["a b", "$HOME", "'\"", "", "*", "new\nline", "ünï", "-n", "\\"];
        const ran = run(shell, { argv: ["printf", "[%s]", ...odd], keepLog });
        expect(ran.out).toBe(odd.map((each) => `[${each}]`).join(""));
        expect(ran).toMatchObject({ code: 0, status: 0, err: "", pidLeft: false });
        expect(ran.first).toMatch(/^S \d+$/);
        expect(ran.log).toBe(keepLog ? ran.out : null);
      });

      test(`keeps stdout and stderr apart, and passes on input and exit code ${keepLog ? "with" : "without"} a log`, () => {
        const ran = run(shell, { argv: ["sh", "-c", "cat; echo e >&2; exit 7"], keepLog }, "in");
        expect(ran).toMatchObject({ out: "in", err: "e\n", code: 7, status: 7 });
      });

      test(`sends what would go to stderr to stdout, in order, where one stream is followed, ${keepLog ? "with" : "without"} a log`, () => {
        const argv = ["sh", "-c", "echo a; echo b >&2; echo c; exit 3"];
        const ran = run(shell, { argv, keepLog, oneStream: true });
        expect(ran).toMatchObject({ out: "a\nb\nc\n", err: "", code: 3, log: keepLog ? ran.out : null });
      });

      test(`ends a command's input where it is to have none, ${keepLog ? "with" : "without"} a log`, () => {
        const ran = run(shell, { argv: ["sh", "-c", "cat; echo end"], keepLog, noInput: true }, "not for it");
        expect(ran).toMatchObject({ out: "end\n", code: 0 });
      });

      test(`reports a death by signal as an exit code, without messages of the shell, ${keepLog ? "with" : "without"} a log`, () => {
        expect(run(shell, { argv: ["sh", "-c", "kill -TERM $$"], keepLog })).toMatchObject({
          code: 143,
          out: "",
          err: "",
        });
      });
    }

    test("marks the end of a stream whose tee ends late, beside one that a child holds", () => {
      const [id, bin, gone] = [`t${process.pid}_${count++}`, join(dir, `bin${count}`), join(dir, `gone${count}`)];
      mkdirSync(bin);
      writeFileSync(join(bin, "tee"), `#!/bin/sh\n${Bun.which("tee")} "$@"\nsleep 0.6\n`, { mode: 0o755 });
      const argv = ["sh", "-c", `exec 2>&1; (sleep 5; touch ${gone}) & echo done; exit 4`];
      const script = wrapperScript({ id, workdir: dir, terminal: null, keepLog: true, argv }).replaceAll(
        "/tmp/.parallel-agents",
        join(dir, "run"),
      );
      const program = [shell, ...(shell === "busybox" ? ["sh"] : []), "-c", script];
      const read = `"$@" 2>&1 >/dev/null | { grep -a -m1 "${id} ended with code 4"; [ ! -e ${gone} ] || echo late; }`;
      const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
      const ran = spawnSync("sh", ["-c", read, "x", ...program], { timeout: 20_000, env });
      expect(ran.stdout.toString()).toContain("ended with code 4");
      expect(ran.stdout.toString()).not.toContain("late");
    });

    test("says whether processes of the command run on, and not only for a moment", () => {
      const left = (seconds: string, keepLog: boolean) => {
        const file = join(dir, `left${count}`);
        const command = `sleep ${seconds} >/dev/null 2>&1 & echo $! > ${file}; exit 3`;
        const ran = run(shell, { argv: ["sh", "-c", command], keepLog });
        spawnSync("sh", ["-c", `kill $(cat ${file})`]);
        expect(ran.code).toBe(3);
        return ran.isLeft;
      };
      for (const keepLog of [false, true]) {
        expect(left("30", keepLog)).toBeTrue();
        expect(left("0.02", keepLog)).toBeFalse();
      }
    });

    for (const [keepLog, oneStream] of [
      [false, false],
      [true, false],
      [true, true],
    ] as const) {
      test(`does not wait for a child that outlives the command, ${keepLog ? "with" : "without"} a log${oneStream ? " of one stream" : ""}`, () => {
        // Looks only for the wrapper's end mark, because the child keeps its streams open for longer than the whole may take.
        const id = `t${process.pid}_${count++}`;
        const script = wrapperScript({
          id,
          workdir: dir,
          terminal: null,
          keepLog,
          oneStream,
          argv: ["sh", "-c", `sleep 60 & echo $! > ${dir}/${id}; echo done; exit 4`],
        }).replaceAll("/tmp/.parallel-agents", join(dir, "run"));
        const ran = spawnSync(
          "sh",
          [
            "-c",
            `"$@" | { grep -a -m1 "${id} ended with code 4"; kill $(cat ${dir}/${id}); }`,
            "x",
            shell,
            ...(shell === "busybox" ? ["sh"] : []),
            "-c",
            script,
          ],
          { timeout: 20_000 },
        );
        expect(ran.stdout.toString("latin1")).toContain("ended with code 4");
      });
    }

    test("signals what a command has started too, and kills what is left of its group", () => {
      const [pid, up] = [join(dir, `group${count}.pid`), join(dir, `up${count++}`)];
      const inShell = (script: string, ...args: string[]) =>
        spawnSync(shell, [...(shell === "busybox" ? ["sh"] : []), "-c", script, "x", ...args], { timeout: 20_000 });
      const deaf = `sh -c 'trap "" TERM; echo > ${up}; sleep 30; :'`;
      const child = spawn("sh", ["-c", `echo $$ > ${pid}; sleep 40 & ${deaf} & wait`], {
        stdio: "ignore",
        detached: true,
      });
      const leader = () => readFileSync(pid, "utf8").trim();
      const commands = () => spawnSync("pgrep", ["-g", leader(), "-a"]).stdout.toString();
      try {
        inShell(`until [ -e ${up} ]; do sleep 0.02; done`);
        expect(commands()).toContain("sleep 40");
        inShell(SIGNAL_SCRIPT, pid, "TERM");
        expect(commands()).not.toContain("sleep 40");
        expect(commands()).toContain("trap");
        expect(inShell(END_GROUP_SCRIPT, leader(), "1").status).toBe(KILLED);
        expect(commands()).not.toContain("trap");
      } finally {
        child.kill("SIGKILL");
        spawnSync("pkill", ["-KILL", "-g", leader()]);
      }
    });

    test("reports a missing program and a missing directory", () => {
      expect(run(shell, { argv: ["no-such-program"] })).toMatchObject({ code: 127 });
      expect(run(shell, { argv: ["true"], workdir: "/no/such" }).first).toBe("W");
    });

    test("does not make commands ignore SIGINT", () => {
      expect(run(shell, { argv: ["sh", "-c", "kill -INT $$; sleep 1"] })).toMatchObject({ code: 130 });
    });

    test.skipIf(!Bun.which("script"))("provides a terminal, and passes on the exit code", () => {
      const ran = run(shell, {
        argv: ["sh", "-c", "test -t 0 && test -t 1 && echo 'a terminal'; exit 5"],
        terminal: "script",
        keepLog: true,
      });
      expect(ran.out.trim()).toBe("a terminal");
      expect(ran.code).toBe(5);
      expect(ran.log?.trim()).toBe("a terminal");
    });
  });
}
