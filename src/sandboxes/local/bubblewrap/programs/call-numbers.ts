import type { Processor } from "../call-filter/refused-calls.ts";

/* The numbers of system calls. @source Linux's asm/unistd_64.h (x86-64), asm-generic/unistd.h (arm64) */

export type CallNumber = Readonly<Record<Processor, number>>;

export const WRITE: CallNumber = { x64: 1, arm64: 64 };
export const CLOSE: CallNumber = { x64: 3, arm64: 57 };
export const RT_SIGACTION: CallNumber = { x64: 13, arm64: 134 };
export const SETSID: CallNumber = { x64: 112, arm64: 157 };
export const PRCTL: CallNumber = { x64: 157, arm64: 167 };
export const MOUNT: CallNumber = { x64: 165, arm64: 40 };
export const EXIT_GROUP: CallNumber = { x64: 231, arm64: 94 };
export const KEYCTL: CallNumber = { x64: 250, arm64: 219 };
export const OPENAT: CallNumber = { x64: 257, arm64: 56 };
export const PPOLL: CallNumber = { x64: 271, arm64: 73 };
export const DUP3: CallNumber = { x64: 292, arm64: 24 };
export const PRLIMIT64: CallNumber = { x64: 302, arm64: 261 };
export const SETNS: CallNumber = { x64: 308, arm64: 268 };
export const SECCOMP: CallNumber = { x64: 317, arm64: 277 };
export const CLOSE_RANGE: CallNumber = { x64: 436, arm64: 436 };
