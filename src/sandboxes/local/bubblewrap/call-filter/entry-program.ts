import type { Processor } from "./refused-calls.ts";

/*
 * The first program of every command in a sandbox. The nsenter and setpriv of current systems cannot load a system-call
 * filter, so this program does: it joins the inner user namespace (the one without privileges), leaves the login's keyrings,
 * gives up gaining new privileges, loads the filter and executes the rest of its command line.
 *
 * E1: the job cannot interfere before the filter is loaded: until it executes the next program, it has the namespace's
 * capabilities, and the kernel lets no process with fewer capabilities access it. E2: when any step fails, nothing is
 * started. Only leaving the keyrings may fail (a kernel without keys, a user's quota), since the filter refuses their calls.
 *
 * It is one static file: the code below, which finds its data relative to itself, then the data, then the filter.
 */

const CODE: Readonly<Record<Processor, string>> = {
  x64: `
; openat(AT_FDCWD, "/proc/1/ns/user", O_RDONLY | O_CLOEXEC)
b8 01 01 00 00       | mov eax,0x101
bf 9c ff ff ff       | mov edi,0xffffff9c
48 8d 35 af 00 00 00 | lea rsi,<path>
ba 00 00 08 00       | mov edx,0x80000
0f 05                | syscall
85 c0                | test eax,eax
78 7a                | js <fail>
; setns(fd, CLONE_NEWUSER)
89 c7                | mov edi,eax
be 00 00 00 10       | mov esi,0x10000000
b8 34 01 00 00       | mov eax,0x134
0f 05                | syscall
85 c0                | test eax,eax
75 68                | jne <fail>
; keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL): its result does not matter
b8 fa 00 00 00       | mov eax,0xfa
bf 01 00 00 00       | mov edi,0x1
31 f6                | xor esi,esi
0f 05                | syscall
; prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
b8 9d 00 00 00       | mov eax,0x9d
bf 26 00 00 00       | mov edi,0x26
be 01 00 00 00       | mov esi,0x1
31 d2                | xor edx,edx
45 31 d2             | xor r10d,r10d
45 31 c0             | xor r8d,r8d
0f 05                | syscall
85 c0                | test eax,eax
75 3d                | jne <fail>
; seccomp(SECCOMP_SET_MODE_FILTER, 0, { length, program })
48 8d 05 b8 00 00 00 | lea rax,<program>
50                   | push rax
ff 35 a9 00 00 00    | push <length>
b8 3d 01 00 00       | mov eax,0x13d
bf 01 00 00 00       | mov edi,0x1
31 f6                | xor esi,esi
48 89 e2             | mov rdx,rsp
0f 05                | syscall
59                   | pop rcx
59                   | pop rcx
85 c0                | test eax,eax
75 18                | jne <fail>
; execve(argv[1], &argv[1], envp)
48 8b 0c 24          | mov rcx,[rsp]
48 8d 54 cc 10       | lea rdx,[rsp+rcx*8+0x10]
48 8d 74 24 10       | lea rsi,[rsp+0x10]
48 8b 3e             | mov rdi,[rsi]
b8 3b 00 00 00       | mov eax,0x3b
0f 05                | syscall
; fail: write(2, message, 62); exit_group(125)
b8 01 00 00 00       | mov eax,0x1
bf 02 00 00 00       | mov edi,0x2
48 8d 35 29 00 00 00 | lea rsi,<message>
ba 3e 00 00 00       | mov edx,0x3e
0f 05                | syscall
b8 e7 00 00 00       | mov eax,0xe7
bf 7d 00 00 00       | mov edi,0x7d
0f 05                | syscall
66 0f 1f 44 00 00    | nop WORD PTR [rax+rax*1+0x0]`,
  arm64: `
; openat
08 07 80 d2          | mov x8, #0x38
60 0c 80 92          | mov x0, #0xffffffffffffff9c
c1 05 00 10          | adr x1, <path>
02 01 a0 d2          | mov x2, #0x80000
03 00 80 d2          | mov x3, #0x0
01 00 00 d4          | svc #0x0
20 04 f8 b7          | tbnz x0, #63, <fail>
; setns
01 00 a2 d2          | mov x1, #0x10000000
88 21 80 d2          | mov x8, #0x10c
01 00 00 d4          | svc #0x0
a0 03 00 b5          | cbnz x0, <fail>
; keyctl
20 00 80 d2          | mov x0, #0x1
01 00 80 d2          | mov x1, #0x0
68 1b 80 d2          | mov x8, #0xdb
01 00 00 d4          | svc #0x0
; prctl
c0 04 80 d2          | mov x0, #0x26
21 00 80 d2          | mov x1, #0x1
02 00 80 d2          | mov x2, #0x0
03 00 80 d2          | mov x3, #0x0
04 00 80 d2          | mov x4, #0x0
e8 14 80 d2          | mov x8, #0xa7
01 00 00 d4          | svc #0x0
20 02 00 b5          | cbnz x0, <fail>
; seccomp
a0 05 00 58          | ldr x0, <length>
c1 05 00 10          | adr x1, <program>
e0 07 bf a9          | stp x0, x1, [sp, #-16]!
20 00 80 d2          | mov x0, #0x1
01 00 80 d2          | mov x1, #0x0
e2 03 00 91          | mov x2, sp
a8 22 80 d2          | mov x8, #0x115
01 00 00 d4          | svc #0x0
ff 43 00 91          | add sp, sp, #0x10
e0 00 00 b5          | cbnz x0, <fail>
; execve
e3 03 40 f9          | ldr x3, [sp]
e1 43 00 91          | add x1, sp, #0x10
22 0c 03 8b          | add x2, x1, x3, lsl #3
20 00 40 f9          | ldr x0, [x1]
a8 1b 80 d2          | mov x8, #0xdd
01 00 00 d4          | svc #0x0
; fail: write; exit_group
40 00 80 d2          | mov x0, #0x2
81 01 00 10          | adr x1, <message>
c2 07 80 d2          | mov x2, #0x3e
08 08 80 d2          | mov x8, #0x40
01 00 00 d4          | svc #0x0
a0 0f 80 d2          | mov x0, #0x7d
c8 0b 80 d2          | mov x8, #0x5e
01 00 00 d4          | svc #0x0
1f 20 03 d5          | nop`,
};

const PATH = "/proc/1/ns/user\0";
const MESSAGE = "No command was started: its system-call filter was not loaded\n";
const MACHINE: Readonly<Record<Processor, number>> = { x64: 62, arm64: 183 };
const BASE = 0x400000n;
const HEADERS = 64 + 2 * 56;

/** The program with its filter, as an ELF file. @param filter instructions in the kernel's format, 8 bytes each */
export function entryProgram(processor: Processor, filter: Uint8Array): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeUInt16LE(filter.length / 8);
  // Two bytes of padding bring the length to a multiple of eight.
  const body = Buffer.concat([codeOf(processor), Buffer.from(`${PATH}${MESSAGE}\0\0`), length, filter]);
  return Buffer.concat([headers(processor, HEADERS + body.length), body]);
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
