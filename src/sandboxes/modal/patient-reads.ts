import { systemClock } from "../../shared/clock.ts";
import { requireFrom } from "./require-from.ts";

/*
 * The SDK reads a command's output by offset, and asks again when a read fails. But after ten failures in a row, which take
 * ten seconds, it gives the output up for good: a short cut of the network would end the following of a command that runs
 * on, and the SDK has no way to follow it again. Its count begins anew with each piece of output. So a read that fails
 * because no answer came gets an empty piece before its failure, and the failure itself after a pause that grows. The output
 * is then read until it ends, its reader cancels it, the sandbox is released, or the time limit of the command has passed.
 *
 * A stream may also fall silent for good while its connection lives, although the command goes on or has ended. So a read
 * that has brought nothing for a while is made again from where it stands: of a silent command that brings nothing either,
 * and of one that has ended the rest and its end.
 */

/** Longest pause between two reads while no answer comes. */
const LONGEST_PAUSE_MS = 5_000;
const FIRST_PAUSE_MS = 10;
const UNAVAILABLE = 14;
/** How long a read may bring nothing before it is made again; less than a start may take. @source modal-labs/libmodal, issue 263 */
const SILENT_MS = 45_000;
const PATCHED = Symbol.for("opencode-parallel-agents.reads-patched");

interface Status {
  readonly code: number;
}

interface Listener {
  onReceiveMessage(message: unknown): void;
}

interface Call {
  readonly call: never;
  cancelWithStatus(code: number, details: string): void;
}

interface Read {
  readonly execId: string;
  readonly fileDescriptor: number;
}

interface Patience {
  silentMs: number;
}

type Request = (this: unknown, path: string, a: unknown, b: unknown, message: unknown, ...rest: unknown[]) => unknown;

interface Grpc {
  readonly Client: { readonly prototype: { makeServerStreamRequest: Request & { [PATCHED]?: Patience } } };
  readonly InterceptingCall: new (call: Call, requester: object) => Call;
}

/**
 * Changes the SDK's gRPC client, once per process.
 * @param silentMs how long a read may bring nothing; of the last call
 * @throws Error of `require` when the SDK does not bring `@grpc/grpc-js` as expected
 * @source modal 0.11.1, `streamStdioWithRetries`; @grpc/grpc-js 1.14.7, whose interceptors are documented
 */
export function makeReadsPatient(silentMs = SILENT_MS): void {
  const { Client, InterceptingCall } = requireFrom("modal", "nice-grpc", "@grpc/grpc-js") as Grpc;
  const original = Client.prototype.makeServerStreamRequest;
  if (original[PATCHED]) {
    original[PATCHED].silentMs = silentMs;
    return;
  }
  const patience: Patience = { silentMs };
  /** Failures since the last piece of output, by stream. */
  const failures = new Map<string, number>();

  const patient = ({ execId, fileDescriptor }: Read) => {
    const key = `${execId}/${fileDescriptor}`;
    let release = () => {};
    let stopTimer = () => {};
    return (options: unknown, nextCall: (options: unknown) => Call) => {
      const call = nextCall(options);
      let wasSilent = false;
      const listen = () => {
        stopTimer();
        stopTimer = systemClock.after(patience.silentMs, () => {
          wasSilent = true;
          call.cancelWithStatus(UNAVAILABLE, "The read brought nothing for too long.");
        });
      };
      return new InterceptingCall(call, {
        start(metadata: unknown, listener: Listener, next: (metadata: unknown, listener: object) => void) {
          listen();
          next(metadata, {
            onReceiveMessage(message: unknown, pass: (message: unknown) => void) {
              failures.delete(key);
              listen();
              pass(message);
            },
            onReceiveStatus(status: Status, pass: (status: Status) => void) {
              stopTimer();
              const failed = wasSilent ? 0 : (failures.get(key) ?? 0);
              failures.delete(key);
              if (status.code !== UNAVAILABLE) return pass(status);
              const fail = () => {
                release = () => {};
                listener.onReceiveMessage({ data: new Uint8Array(0) });
                pass(status);
              };
              const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failed, LONGEST_PAUSE_MS);
              const cancelPause = systemClock.after(pauseMs, () => {
                failures.set(key, failed + 1);
                fail();
              });
              release = () => {
                cancelPause();
                fail();
              };
            },
          });
        },
        cancel(next: () => void) {
          stopTimer();
          release();
          next();
        },
      });
    };
  };

  function request(this: unknown, ...[path, a, b, message, metadata, options]: Parameters<Request>) {
    if (!path.endsWith("/TaskExecStdioRead")) return original.call(this, path, a, b, message, metadata, options);
    const more = { ...(options as object | undefined), interceptors: [patient(message as Read)] };
    return original.call(this, path, a, b, message, metadata, more);
  }
  request[PATCHED] = patience;
  Client.prototype.makeServerStreamRequest = request;
}
