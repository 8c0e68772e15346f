import type { Processor } from "../call-filter/refused-calls.ts";
import { type CallNumber, EXIT_GROUP, WRITE } from "./call-numbers.ts";

/*
 * Programs that make the system calls of a list, one after another, and then become the program that their command line
 * names. Sandboxes start several of them; each takes the kernel far less time than a shell or a tool of the system would.
 *
 * A program is one static file: the code below, which obeys a table that lies behind it, and the data that the table points
 * to. A row of the table has eight words: the call's number, its six arguments, and the address of the row to go on with when
 * the call fails. C1: unless a call may fail, that is the row which says so and ends the program.
 */

export interface SystemCall {
  readonly number: CallNumber;
  readonly args?: readonly Argument[];
  /** The next one is made even where this one fails. */
  readonly mayFail?: boolean;
}

/** A number, the address of bytes, the address of a structure of 64-bit words, or (first of all only) what the call before returned. */
export type Argument = number | bigint | Uint8Array | readonly Argument[] | typeof RESULT;
export const RESULT = Symbol("what the call before returned");

export const AT_FDCWD = -100;
export const O_CLOEXEC = 0x80000;
/** A text as the kernel takes it. */
export const text = (words: string): Buffer => Buffer.from(`${words}\0`);

/** A program's exit code when a call has failed. */
export const CALL_FAILED = 125;

// The word of a call's number says in bit 32 that the first argument is what the call before returned, and in bit 63 that
// the calls are done.
const FIRST_IS_RESULT = 1n << 32n;
const DONE = 1n << 63n;

const CODE: Readonly<Record<Processor, string>> = {
  x64: `
48 8d 1d 61 00 00 00 | lea    rbx,<table>
; next: make the call of this row
48 8b 03             | mov    rax,[rbx]
48 85 c0             | test   rax,rax
78 39                | js     <done>
48 8b 7b 08          | mov    rdi,[rbx+0x8]
48 0f ba e0 20       | bt     rax,0x20
48 0f 42 fd          | cmovb  rdi,rbp
89 c0                | mov    eax,eax
48 8b 73 10          | mov    rsi,[rbx+0x10]
48 8b 53 18          | mov    rdx,[rbx+0x18]
4c 8b 53 20          | mov    r10,[rbx+0x20]
4c 8b 43 28          | mov    r8,[rbx+0x28]
4c 8b 4b 30          | mov    r9,[rbx+0x30]
0f 05                | syscall
48 89 c5             | mov    rbp,rax
; go on with the row behind it, or where a failure leads
48 8b 4b 38          | mov    rcx,[rbx+0x38]
48 83 c3 40          | add    rbx,0x40
48 85 c0             | test   rax,rax
48 0f 48 d9          | cmovs  rbx,rcx
eb bf                | jmp    <next>
; done: execve(argv[1], &argv[1], envp)
48 8b 0c 24          | mov    rcx,[rsp]
48 8d 54 cc 10       | lea    rdx,[rsp+rcx*8+0x10]
48 8d 74 24 10       | lea    rsi,[rsp+0x10]
48 8b 3e             | mov    rdi,[rsi]
b8 3b 00 00 00       | mov    eax,0x3b
0f 05                | syscall
48 8b 5b 38          | mov    rbx,[rbx+0x38]
eb a1                | jmp    <next>
66 90                | xchg   ax,ax`,
  arm64: `
13 03 00 10          | adr    x19, <table>
; next: make the call of this row
68 02 40 f9          | ldr    x8, [x19]
c8 01 f8 b7          | tbnz   x8, #63, <done>
60 86 40 a9          | ldp    x0, x1, [x19, #8]
62 8e 41 a9          | ldp    x2, x3, [x19, #24]
64 96 42 a9          | ldp    x4, x5, [x19, #40]
1f 01 60 f2          | tst    x8, #0x100000000
80 12 80 9a          | csel   x0, x20, x0, ne
e8 03 08 2a          | mov    w8, w8
01 00 00 d4          | svc    #0x0
f4 03 00 aa          | mov    x20, x0
; go on with the row behind it, or where a failure leads
69 1e 40 f9          | ldr    x9, [x19, #56]
73 02 01 91          | add    x19, x19, #0x40
1f 00 00 f1          | cmp    x0, #0x0
33 b1 93 9a          | csel   x19, x9, x19, lt
f2 ff ff 17          | b      <next>
; done: execve(argv[1], &argv[1], envp)
e3 03 40 f9          | ldr    x3, [sp]
e1 43 00 91          | add    x1, sp, #0x10
22 0c 03 8b          | add    x2, x1, x3, lsl #3
20 00 40 f9          | ldr    x0, [x1]
a8 1b 80 d2          | mov    x8, #0xdd
01 00 00 d4          | svc    #0x0
73 1e 40 f9          | ldr    x19, [x19, #56]
ea ff ff 17          | b      <next>`,
};

const MACHINE: Readonly<Record<Processor, number>> = { x64: 62, arm64: 183 };
const BASE = 0x400000n;
const HEADERS = 64 + 2 * 56;
const ROW = 64;

/**
 * The program as an ELF file.
 * @param failure what it writes to its standard error when a call fails that must not, or the program it should become cannot be started
 */
export function callProgram(processor: Processor, calls: readonly SystemCall[], failure: string): Uint8Array {
  const code = codeOf(processor);
  const message = Buffer.from(`${failure}\n`);
  const failed: readonly SystemCall[] = [
    { number: WRITE, args: [2, message, message.length], mayFail: true },
    { number: EXIT_GROUP, args: [CALL_FAILED] },
  ];
  const table = BASE + BigInt(HEADERS + code.length);
  const addressOfRow = (row: number) => table + BigInt(row * ROW);
  const data = dataFrom(addressOfRow(calls.length + 1 + failed.length));
  const failedAt = addressOfRow(calls.length + 1);
  const rowOf = ({ number, args = [], mayFail = false }: SystemCall, row: number) => {
    const first = args[0] === RESULT ? FIRST_IS_RESULT : 0n;
    const six = Array.from({ length: 6 }, (_, at) => data.wordOf(args[at] ?? 0));
    return words([BigInt(number[processor]) | first, ...six, mayFail ? addressOfRow(row + 1) : failedAt]);
  };
  const rows = [
    ...calls.map(rowOf),
    words([DONE, 0n, 0n, 0n, 0n, 0n, 0n, failedAt]),
    ...failed.map((call, at) => rowOf(call, calls.length + 1 + at)),
  ];
  const body = Buffer.concat([code, ...rows, ...data.pieces]);
  return Buffer.concat([headers(processor, HEADERS + body.length), body]);
}

/** Data behind the table, from an address on. */
function dataFrom(start: bigint) {
  const pieces: Uint8Array[] = [];
  let at = start;
  const place = (bytes: Uint8Array): bigint => {
    const address = at;
    const length = Math.ceil(bytes.length / 8) * 8;
    pieces.push(bytes, new Uint8Array(length - bytes.length));
    at += BigInt(length);
    return address;
  };
  const wordOf = (argument: Argument): bigint => {
    if (argument === RESULT) return 0n;
    if (argument instanceof Uint8Array) return place(argument);
    if (typeof argument === "object") return place(words(argument.map(wordOf)));
    return BigInt.asUintN(64, BigInt(argument as number | bigint));
  };
  return { pieces, wordOf };
}

function words(values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [at, value] of values.entries()) bytes.writeBigUInt64LE(value, 8 * at);
  return bytes;
}

function codeOf(processor: Processor): Buffer {
  const bytes = CODE[processor]
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith(";"))
    .map((line) => line.slice(0, line.indexOf("|")).replaceAll(" ", ""));
  return Buffer.from(bytes.join(""), "hex");
}

function headers(processor: Processor, size: number): Buffer {
  const header = Buffer.alloc(HEADERS);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64 bits, little-endian
  header.writeUInt16LE(2, 16); // an executable at fixed addresses
  header.writeUInt16LE(MACHINE[processor], 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BASE + BigInt(HEADERS), 24); // entry point
  header.writeBigUInt64LE(64n, 32); // program headers
  for (const [at, value] of [64, 56, 2].entries()) header.writeUInt16LE(value, 52 + 2 * at);
  header.writeUInt32LE(1, 64); // load the whole file, readable and executable
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(BASE, 80);
  header.writeBigUInt64LE(BASE, 88);
  header.writeBigUInt64LE(BigInt(size), 96);
  header.writeBigUInt64LE(BigInt(size), 104);
  header.writeBigUInt64LE(0x10000n, 112);
  header.writeUInt32LE(0x6474e551, 120); // a stack that is not executable
  header.writeUInt32LE(6, 124);
  return header;
}
