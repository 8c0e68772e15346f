import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filterProgram, thisProcessor } from "../../../../src/sandboxes/local/bubblewrap/call-filter/filter-program.ts";
import type { Processor } from "../../../../src/sandboxes/local/bubblewrap/call-filter/refused-calls.ts";
import type { CallNumber } from "../../../../src/sandboxes/local/bubblewrap/programs/call-numbers.ts";
import * as numbers from "../../../../src/sandboxes/local/bubblewrap/programs/call-numbers.ts";
import {
  type Argument,
  AT_FDCWD,
  callProgram,
  RESULT,
  type SystemCall,
  text,
} from "../../../../src/sandboxes/local/bubblewrap/programs/call-program.ts";
import { entryProgram } from "../../../../src/sandboxes/local/bubblewrap/programs/sandbox-programs.ts";

const dir = mkdtempSync(join(tmpdir(), "opa-test-programs-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Other processors are emulated where an emulator is installed. */
const EMULATORS: Readonly<Record<Processor, readonly string[]>> = {
  x64: ["/usr/bin/qemu-x86_64-static", "/usr/bin/qemu-x86_64"],
  arm64: ["/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64"],
};
const bytes = (words: string): readonly Argument[] => [Buffer.from(words), words.length];
const FCHMOD = { x64: 91, arm64: 52 };
const CHDIR = { x64: 80, arm64: 49 };
const WRITEV = { x64: 20, arm64: 66 };
const { OPENAT, PRLIMIT64, WRITE } = numbers;

for (const processor of ["x64", "arm64"] as const) {
  const emulator = EMULATORS[processor].find((path) => existsSync(path));
  const isHere = process.platform === "linux" && thisProcessor() === processor;
  const why = isHere || emulator !== undefined ? null : "no emulator of it is installed";
  describe.skipIf(why !== null)(`programs of system calls for ${processor}${why ? ` (skipped: ${why})` : ""}`, () => {
    const run = (program: Uint8Array, ...argv: string[]) => {
      const path = join(dir, "program");
      writeFileSync(path, program, { mode: 0o755 });
      const [file = "", ...args] = isHere ? [path, ...argv] : [emulator ?? "", path, ...argv];
      const { status, stdout, stderr } = spawnSync(file, args, { encoding: "utf8", env: { SAID: "kept" } });
      return { status, stdout, stderr };
    };
    const make = (calls: readonly SystemCall[]) => callProgram(processor, calls, "It went wrong");

    test("make the calls in order, and become the program of their command line with its arguments and variables", () => {
      const hello: SystemCall = { number: WRITE, args: [1, ...bytes("hello, ")] };
      const program = make([hello, { ...hello, args: [1, ...bytes("world\n")] }]);
      expect(run(program, "/bin/sh", "-c", 'echo "$SAID $1"', "sh", "two words")).toEqual({
        status: 0,
        stdout: "hello, world\nkept two words\n",
        stderr: "",
      });
    });

    test("hand what a call returned to the next", () => {
      const path = join(dir, "file");
      writeFileSync(path, "", { mode: 0o600 });
      const open: SystemCall = { number: OPENAT, args: [AT_FDCWD, text(path), 0] };
      const program = make([open, { number: FCHMOD, args: [RESULT, 0o640] }]);
      expect(run(program, "/usr/bin/stat", "-c", "%a", path).stdout).toBe("640\n");
    });

    test("pass structures that point to others", () => {
      const pieces = [...bytes("two "), ...bytes("pieces")];
      const program = make([{ number: WRITEV, args: [1, pieces, 2] }]);
      expect(run(program, "/bin/true").stdout).toBe("two pieces");
    });

    test("end where a call fails, and say so", () => {
      const said: SystemCall = { number: WRITE, args: [1, ...bytes("not reached")] };
      const program = make([{ number: CHDIR, args: [text("/no/such/folder")] }, said]);
      expect(run(program, "/bin/echo", "started")).toEqual({ status: 125, stdout: "", stderr: "It went wrong\n" });
    });

    test("go on where a call may fail", () => {
      const program = make([{ number: CHDIR, args: [text("/no/such/folder")], mayFail: true }]);
      expect(run(program, "/bin/echo", "started")).toEqual({ status: 0, stdout: "started\n", stderr: "" });
    });

    test("say so where there is no program to become", () => {
      expect(run(make([]), "/no/such/program")).toEqual({ status: 125, stdout: "", stderr: "It went wrong\n" });
      expect(run(make([]))).toEqual({ status: 125, stdout: "", stderr: "It went wrong\n" });
    });

    test("limit themselves and what they become", () => {
      const program = make([
        { number: PRLIMIT64, args: [0, 4, [0n, 0n]] },
        { number: PRLIMIT64, args: [0, 1, [4096n, 8192n]] },
      ]);
      // In blocks of 512 bytes.
      const { stdout } = run(program, "/bin/dash", "-c", "ulimit -c; ulimit -f; ulimit -H -f");
      expect(stdout).toBe("0\n8\n16\n");
    });

    test.each([
      ["the user namespace cannot be joined, as it is its own or another user's", []],
      ["a device cannot be made read-only", ["/dev/no-such-device"]],
    ])("start no command where %s", (_why, devices) => {
      const entry = entryProgram(processor, filterProgram(processor), [], devices);
      expect(run(entry, "/bin/echo", "started")).toEqual({
        status: 125,
        stdout: "",
        stderr: "No command was started: it could not be confined (its devices, its limits, its system calls)\n",
      });
    });
  });
}

const HEADERS: readonly (readonly [Processor, string])[] = [
  ["x64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"],
  ["arm64", "/usr/include/asm-generic/unistd.h"],
];
for (const [processor, header] of HEADERS)
  test.skipIf(!existsSync(header))(
    `calls for ${processor} have the numbers of the system's own header (${header})`,
    () => {
      const known = new Map(
        [...readFileSync(header, "utf8").matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)].map((match) => [
          match[1]?.toUpperCase(),
          Number(match[2]),
        ]),
      );
      const ours: [name: string, number: CallNumber][] = Object.entries(numbers);
      expect(ours.length).toBeGreaterThan(10);
      for (const [name, number] of ours) expect([name, known.get(name)]).toEqual([name, number[processor]]);
    },
  );
