import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { filterProgram } from "../../../../../src/sandboxes/local/bubblewrap/call-filter/filter-program.ts";
import { type Processor, REFUSED } from "../../../../../src/sandboxes/local/bubblewrap/call-filter/refused-calls.ts";

const ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 };
const FOREIGN = { i386: 0x40000003, arm: 0x40000028, riscv64: 0xc00000f3, none: 0 };
const ALLOW = 0x7fff0000;
const ERRORS = { EPERM: 1, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 };
const fails = (error: keyof typeof ERRORS) => 0x50000 + ERRORS[error];

interface Call {
  readonly number: number;
  readonly arch?: number;
  readonly args?: readonly (number | bigint)[];
}

/** Runs a filter as the kernel does, on the call's number, processor and arguments. @throws Error when it does not end */
function answer(filter: Uint8Array, arch: number, { number, args = [] }: Call): number {
  const code = new DataView(filter.buffer, filter.byteOffset, filter.length);
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number >>> 0, true);
  data.setUint32(4, arch, true);
  for (const [at, word] of args.entries()) data.setBigUint64(16 + 8 * at, BigInt.asUintN(64, BigInt(word)), true);
  let held = 0;
  for (let at = 0; at < filter.length / 8; at += 1) {
    const operand = code.getUint32(8 * at + 4, true);
    const jump = (taken: boolean) => (at += code.getUint8(8 * at + (taken ? 2 : 3)));
    switch (code.getUint16(8 * at, true)) {
      case 0x20:
        if (operand % 4 !== 0) throw new Error("an unaligned load, which the kernel refuses");
        held = data.getUint32(operand, true);
        break;
      case 0x54:
        held = (held & operand) >>> 0;
        break;
      case 0x15:
        jump(held === operand);
        break;
      case 0x35:
        jump(held >= operand);
        break;
      case 0x45:
        jump((held & operand) !== 0);
        break;
      case 0x06:
        return operand;
      default:
        throw new Error(`an instruction that no filter needs, at ${at}`);
    }
  }
  throw new Error("the program ran off its end");
}

for (const [processor, at] of [
  ["x64", 0],
  ["arm64", 1],
] as const) {
  describe(`the system-call filter for ${processor}`, () => {
    const filter = filterProgram(processor);
    const says = (call: Call) => answer(filter, call.arch ?? ARCH[processor], call);
    const number = numbersOf(processor);
    const refused = new Map(
      REFUSED.flatMap(({ error, calls }) =>
        Object.values(calls).flatMap((numbers) => (numbers[at] === null ? [] : [[numbers[at], error] as const])),
      ),
    );
    const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const args = fc.array(word, { minLength: 6, maxLength: 6 });

    test("refuses every call on the list with the list's error, whatever the arguments", () => {
      fc.assert(
        fc.property(fc.constantFrom(...refused), args, ([call, error], args) => {
          expect(says({ number: call, args })).toBe(fails(error));
        }),
      );
      for (const [call, error] of refused) expect(says({ number: call })).toBe(fails(error));
    });

    test("allows every other call of Linux, whatever the arguments", () => {
      const conditional = new Set(Object.values(number));
      for (let call = 0; call < 470; call += 1)
        if (!refused.has(call) && !conditional.has(call)) expect([call, says({ number: call })]).toEqual([call, ALLOW]);
      const others = fc.integer({ min: 0, max: 469 }).filter((call) => !refused.has(call) && !conditional.has(call));
      fc.assert(
        fc.property(others, args, (call, args) => {
          expect(says({ number: call, args })).toBe(ALLOW);
        }),
      );
    });

    test("refuses later calls, x32 calls and those of other processors", () => {
      const later = fc.integer({ min: 470, max: 0xffffffff });
      fc.assert(fc.property(later, args, (call, args) => expect(says({ number: call, args })).toBe(fails("ENOSYS"))));
      for (const call of [0x40000000, 0x400000fa, 512, 547, -1, 0x80000000])
        expect(says({ number: call })).toBe(fails("ENOSYS"));
      const foreign = fc.oneof(fc.constantFrom(...Object.values(FOREIGN)), fc.integer({ min: 0, max: 0xffffffff }));
      fc.assert(
        fc.property(foreign, fc.integer({ min: 0, max: 500 }), args, (arch, call, args) => {
          if (arch !== ARCH[processor]) expect(says({ number: call, arch, args })).toBe(fails("ENOSYS"));
        }),
      );
      const [other] = Object.entries(ARCH).filter(([name]) => name !== processor);
      expect(says({ number: 0, arch: other?.[1] ?? 0 })).toBe(fails("ENOSYS"));
    });

    const table: Readonly<Record<string, readonly (readonly [keyof typeof number, readonly number[], number])[]>> = {
      "a process may ask to be traced, but no process may attach to another": [
        ["ptrace", [0], ALLOW],
        ["ptrace", [7], ALLOW],
        ["ptrace", [16], fails("EPERM")],
        ["ptrace", [0x4206], fails("EPERM")],
      ],
      "processes and threads can be made, namespaces cannot": [
        ["clone", [0x11], ALLOW],
        ["clone", [0x3d0f00], ALLOW],
        ["unshare", [0], ALLOW],
        ["unshare", [0x600], ALLOW],
        ...[0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000].flatMap(
          (flag) =>
            [
              ["clone", [flag + 0x11], fails("EPERM")],
              ["unshare", [flag], fails("EPERM")],
              ["unshare", [flag + 0x200], fails("EPERM")],
            ] as const,
        ),
        ["unshare", [0x80], fails("EPERM")],
      ],
      "sockets are local, internet or for asking about routes": [
        ["socket", [1, 1, 0], ALLOW],
        ["socket", [1, 0x80805, 0], ALLOW],
        ["socket", [2, 1, 6], ALLOW],
        ["socket", [2, 0x80801, 0], ALLOW],
        ["socket", [10, 2, 17], ALLOW],
        ["socket", [2, 2, 1], ALLOW],
        ["socket", [10, 3, 58], ALLOW],
        ["socket", [2, 1, 262], ALLOW],
        ["socket", [16, 3, 0], ALLOW],
        ["socket", [2, 1, 132], fails("EPROTONOSUPPORT")],
        ["socket", [2, 5, 0], fails("EPROTONOSUPPORT")],
        ["socket", [10, 0x80006, 0], fails("EPROTONOSUPPORT")],
        ["socket", [16, 3, 6], fails("EPROTONOSUPPORT")],
        ["socket", [16, 3, 12], fails("EPROTONOSUPPORT")],
        ["socketpair", [1, 1, 0], ALLOW],
        ["socketpair", [30, 1, 0], fails("EAFNOSUPPORT")],
        ...Array.from({ length: 64 }, (_, family) => family)
          .filter((family) => ![1, 2, 10, 16].includes(family))
          .map((family) => ["socket", [family, 1, 0], fails("EAFNOSUPPORT")] as const),
      ],
      "no process puts input into a terminal": [
        ["ioctl", [0, 0x5413], ALLOW],
        ["ioctl", [0, 0x5412], fails("EPERM")],
        ["ioctl", [0, 0x541c], fails("EPERM")],
      ],
      "files can be locked, but no lock blocks whoever opens a file": [
        ...[0, 1, 2, 3, 4, 6, 37, 1025, 1030, 1033].map((what) => ["fcntl", [0, what], ALLOW] as const),
        ...[1024, 1026, 1040].map((what) => ["fcntl", [0, what], fails("EPERM")] as const),
      ],
      "personalities are few": [
        ...[0, 8, 0x20000, 0x40000, 0xffffffff].map((value) => ["personality", [value], ALLOW] as const),
        ...[0x400000, 0x100000, 0x440000, 1, 0x4000000].map(
          (value) => ["personality", [value], fails("EPERM")] as const,
        ),
      ],
    };
    for (const [title, rows] of Object.entries(table))
      test(`${title}, with any upper bits`, () => {
        for (const [name, args, verdict] of rows)
          for (const upper of [0n, 1n, 0xffffffffn])
            expect([
              name,
              args,
              says({ number: number[name], args: args.map((each) => BigInt(each) + (upper << 32n)) }),
            ]).toEqual([name, args, verdict]);
      });

    test("is short enough for the kernel", () => {
      expect(filter.length / 8).toBeLessThan(4096);
    });
  });
}

const HEADERS: readonly (readonly [Processor, string])[] = [
  ["x64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"],
  ["arm64", "/usr/include/asm-generic/unistd.h"],
];
for (const [processor, header] of HEADERS)
  test.skipIf(!existsSync(header))(`numbers for ${processor} are those of the system's own header (${header})`, () => {
    const text = readFileSync(header, "utf8");
    const known = new Map(
      [...text.matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)].map((match) => [match[1], Number(match[2])]),
    );
    const ours = [
      ...REFUSED.flatMap(({ calls }) => Object.entries(calls)).map(
        ([name, numbers]) => [name, numbers[processor === "x64" ? 0 : 1]] as const,
      ),
      ...Object.entries(numbersOf(processor)),
    ];
    const wrong = ours.filter(([name, number]) => known.has(name) && known.get(name) !== number);
    expect(wrong).toEqual([]);
    // The header may be older than the newest calls.
    expect(ours.filter(([name]) => known.has(name)).length).toBeGreaterThan(50);
  });

function numbersOf(processor: Processor) {
  return processor === "x64"
    ? { ptrace: 101, clone: 56, unshare: 272, personality: 135, ioctl: 16, fcntl: 72, socket: 41, socketpair: 53 }
    : { ptrace: 117, clone: 220, unshare: 97, personality: 92, ioctl: 29, fcntl: 25, socket: 198, socketpair: 199 };
}
