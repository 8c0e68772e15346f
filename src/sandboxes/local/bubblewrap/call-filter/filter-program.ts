import { type Processor, REFUSED } from "./refused-calls.ts";

/*
 * The system-call filter as a classic BPF program. F1: a refused call fails with an error; no process is killed. F2: arguments
 * are compared by the 32 bits that the kernel itself uses, so that setting upper bits does not bypass the filter.
 */

/** One instruction: operation, instructions to skip if true and if false, operand. */
export type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, operand: number];

/** A decision by cases. `otherwise` applies when no case does. */
interface Choice {
  readonly look: "call" | "processor" | { readonly argument: number; readonly mask?: number };
  readonly cases: readonly (readonly [Test, Decision])[];
  readonly otherwise: Decision;
}
type Test = { readonly is: readonly number[] } | { readonly hasBitOf: number } | { readonly atLeast: number };
type Decision = "allow" | keyof typeof ERRORS | Choice;

const ERRORS = { EPERM: 1, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 };
const AUDIT_ARCH: Readonly<Record<Processor, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };

/**
 * The first number without a call in Linux 6.18. Later calls are not on our list, so they fail inside as on an older kernel. On
 * x86-64 this also refuses the calls of the x32 mode (from 0x40000000).
 */
const FIRST_UNKNOWN = 470;

const NEW_NAMESPACES = 0x7e020000;
const NEW_TIME_NAMESPACE = 0x80;
const PTRACE = { attach: 16, seize: 0x4206 };
/** Default, 32 bits, old version number, no address randomisation (for debuggers), and the query for the current one. */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0x40000, 0x40008, 0xffffffff];
/** Requests that put characters into a terminal's input as if they were typed. */
const TERMINAL_INPUT = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c };
/** Leases and delegations, which block whoever opens a file, also on the host if it is lent; and watching a folder. */
const LEASES = { F_SETLEASE: 1024, F_NOTIFY: 1026, F_SETDELEG: 1040 };
const FAMILY = { unix: 1, inet: 2, inet6: 10, netlink: 16 };
const NETLINK_ROUTE = 0;
/** Streams, datagrams and raw sockets; the other bits of the type are flags. */
const SOCKET_TYPE = { mask: 0xf, plain: [1, 2, 3] };
/** The type's default, ICMP, TCP, UDP, ICMPv6, MPTCP. Others, such as SCTP, would load modules into the kernel. */
const PROTOCOLS = [0, 1, 6, 17, 58, 262];

type Numbers = Readonly<
  Record<"ptrace" | "clone" | "unshare" | "personality" | "ioctl" | "fcntl" | "socket" | "socketpair", number>
>;
const CONDITIONAL: Readonly<Record<Processor, Numbers>> = {
  x64: { ptrace: 101, clone: 56, unshare: 272, personality: 135, ioctl: 16, fcntl: 72, socket: 41, socketpair: 53 },
  arm64: { ptrace: 117, clone: 220, unshare: 97, personality: 92, ioctl: 29, fcntl: 25, socket: 198, socketpair: 199 },
};

/** The filter for a processor in the kernel's format: 8 bytes per instruction. */
export function filterProgram(processor: Processor): Uint8Array {
  const instructions = assemble(decide(processor));
  const bytes = Buffer.alloc(8 * instructions.length);
  for (const [at, [code, whenTrue, whenFalse, operand]] of instructions.entries()) {
    bytes.writeUInt16LE(code, 8 * at);
    bytes.writeUInt8(whenTrue, 8 * at + 2);
    bytes.writeUInt8(whenFalse, 8 * at + 3);
    bytes.writeUInt32LE(operand, 8 * at + 4);
  }
  return bytes;
}

/** The processor of this process, or null when there is no filter for it. */
export const thisProcessor = (): Processor | null =>
  process.arch === "x64" || process.arch === "arm64" ? process.arch : null;

function decide(processor: Processor): Decision {
  const number = CONDITIONAL[processor];
  const refused = (error: "EPERM" | "ENOSYS") =>
    REFUSED.filter((each) => each.error === error)
      .flatMap(({ calls }) => Object.values(calls))
      .map((numbers) => numbers[processor === "x64" ? 0 : 1])
      .filter((each) => each !== null);
  const argument = (at: number, cases: Choice["cases"], otherwise: Decision, mask?: number): Choice => ({
    look: { argument: at, ...(mask === undefined ? {} : { mask }) },
    cases,
    otherwise,
  });
  const protocols = argument(2, [[{ is: PROTOCOLS }, "allow"]], "EPROTONOSUPPORT");
  const internet = argument(1, [[{ is: SOCKET_TYPE.plain }, protocols]], "EPROTONOSUPPORT", SOCKET_TYPE.mask);
  const netlink = argument(2, [[{ is: [NETLINK_ROUTE] }, "allow"]], "EPROTONOSUPPORT");
  return {
    look: "processor",
    cases: [
      [
        { is: [AUDIT_ARCH[processor]] },
        {
          look: "call",
          cases: [
            [{ atLeast: FIRST_UNKNOWN }, "ENOSYS"],
            // Debuggers of their own children still work, because the children ask to be traced.
            [{ is: [number.ptrace] }, argument(0, [[{ is: Object.values(PTRACE) }, "EPERM"]], "allow")],
            [{ is: [number.clone] }, argument(0, [[{ hasBitOf: NEW_NAMESPACES }, "EPERM"]], "allow")],
            [
              { is: [number.unshare] },
              argument(0, [[{ hasBitOf: NEW_NAMESPACES | NEW_TIME_NAMESPACE }, "EPERM"]], "allow"),
            ],
            [{ is: [number.personality] }, argument(0, [[{ is: PERSONALITIES }, "allow"]], "EPERM")],
            [{ is: [number.ioctl] }, argument(1, [[{ is: Object.values(TERMINAL_INPUT) }, "EPERM"]], "allow")],
            [{ is: [number.fcntl] }, argument(1, [[{ is: Object.values(LEASES) }, "EPERM"]], "allow")],
            [
              { is: [number.socket] },
              argument(
                0,
                [
                  [{ is: [FAMILY.unix] }, "allow"],
                  [{ is: [FAMILY.inet, FAMILY.inet6] }, internet],
                  [{ is: [FAMILY.netlink] }, netlink],
                ],
                "EAFNOSUPPORT",
              ),
            ],
            [{ is: [number.socketpair] }, argument(0, [[{ is: [FAMILY.unix] }, "allow"]], "EAFNOSUPPORT")],
            [{ is: refused("ENOSYS") }, "ENOSYS"],
            [{ is: refused("EPERM") }, "EPERM"],
          ],
          otherwise: "allow",
        },
      ],
    ],
    // Calls of programs for another processor that this one also runs (i386, 32-bit ARM), which have other numbers.
    otherwise: "ENOSYS",
  };
}

const LOAD = 0x20;
const AND = 0x54;
const RETURN = 0x06;
const JUMP = { is: 0x15, atLeast: 0x35, hasBitOf: 0x45 };
const ALLOW = 0x7fff0000;
const FAIL_WITH = 0x00050000;
/** Offsets of the data that a filter can read. */
const PLACE = { call: 0, processor: 4, arguments: 16 };

/** Every decision ends in a verdict, so a case never continues with the next one. */
function assemble(decision: Decision): readonly Instruction[] {
  if (decision === "allow") return [[RETURN, 0, 0, ALLOW]];
  if (typeof decision === "string") return [[RETURN, 0, 0, FAIL_WITH | ERRORS[decision]]];
  const { look, cases, otherwise } = decision;
  const load: Instruction[] =
    typeof look === "string"
      ? [[LOAD, 0, 0, PLACE[look]]]
      : [
          [LOAD, 0, 0, PLACE.arguments + 8 * look.argument],
          ...(look.mask === undefined ? [] : [[AND, 0, 0, look.mask] as const]),
        ];
  const branches = cases.flatMap(([test, then]) => {
    const body = assemble(then);
    const [code, operands] =
      "is" in test
        ? [JUMP.is, test.is]
        : "atLeast" in test
          ? [JUMP.atLeast, [test.atLeast]]
          : [JUMP.hasBitOf, [test.hasBitOf >>> 0]];
    // A true test skips the remaining tests; the last test, if false, skips the body too.
    const tests = operands.map((operand, at): Instruction => {
      const left = operands.length - 1 - at;
      return [code, left, left === 0 ? body.length : 0, operand];
    });
    if (operands.length > 255 || body.length > 255) throw new Error("a jump of the filter is too long");
    return [...tests, ...body];
  });
  return [...load, ...branches, ...assemble(otherwise)];
}
