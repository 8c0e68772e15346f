import { AsyncLocalStorage } from "node:async_hooks";
import type { ModalClientParams } from "modal";

type Middleware = NonNullable<ModalClientParams["grpcMiddleware"]>[number];

/** @param method the call's name on the wire: "SandboxCreate" @param reply a reply, or one of a stream of replies */
export type ReplyListener = (method: string, reply: unknown) => void;

/**
 * Shows what the control plane replies to the calls that the SDK makes for one piece of work. The SDK keeps to itself what
 * users wait for: the id of a sandbox that is queued for a machine, and the log of a build.
 * @source Modal JS SDK 0.11.1: `grpcMiddleware` sees each call of the control plane
 */
export class CallWatch {
  readonly #listeners = new AsyncLocalStorage<ReplyListener>();

  /** Does `work`, and tells `listener` the replies to its calls. */
  during<T>(listener: ReplyListener, work: () => Promise<T>): Promise<T> {
    return this.#listeners.run(listener, work);
  }

  /** For the client whose calls are to be shown. */
  readonly middleware: Middleware = toMiddleware(() => this.#listeners.getStore());
}

function toMiddleware(current: () => ReplyListener | undefined): Middleware {
  return async function* showReplies(call, options) {
    const listener = current();
    if (listener === undefined) return yield* call.next(call.request, options);
    const method = call.method.path.split("/").at(-1) ?? "";
    if (!call.responseStream) {
      const reply = yield* call.next(call.request, options);
      listener(method, reply);
      return reply;
    }
    for await (const reply of call.next(call.request, options)) {
      listener(method, reply);
      yield reply;
    }
    return undefined;
  };
}
