import { Code, Refusal } from "./refusal.ts";

/** What goes wrong with a call. Several may apply to one call; each is used up by itself. */
export interface Fault {
  /** As on the wire: "SandboxCreateV2", "TaskExecStart". */
  readonly method: string;
  /** How many calls it hits; default 1. */
  readonly times?: number;
  /** "after": the server has done its work, and the reply is what suffers. Default "before". */
  readonly when?: "before" | "after";
  readonly delayMs?: number;
  /** Never answers: until the client gives up or the server stops. */
  readonly hang?: boolean;
  readonly code?: number;
  readonly message?: string;
  readonly trailers?: Readonly<Record<string, string>>;
  /** A server's request to come back later, as Modal throttles; code 8 unless given. */
  readonly retryAfterSecs?: number;
  /** For a stream of replies: broken after so many messages. */
  readonly afterItems?: number;
  /** Only calls of this kind. Data and no function, so that it can be sent to a server in another process. */
  readonly only?: Only;
}

export interface Only {
  /** Commands with this in one of their words: the program of an exec, the SDK's file tool included. */
  readonly program?: string;
  /** Creations with tags. */
  readonly tagged?: true;
}

export interface Faults {
  add(...faults: Fault[]): void;
  clear(): void;
  /** Not used up yet. */
  left(): readonly Fault[];
}

export interface FaultContext {
  readonly signal: AbortSignal;
  setTrailer(name: string, value: string | Uint8Array): void;
  retryPolicy(retryAfterSecs: number): Uint8Array;
}

export class FaultBook implements Faults {
  #entries: { readonly fault: Fault; left: number }[] = [];
  readonly #stopped: AbortSignal;

  constructor(stopped: AbortSignal) {
    this.#stopped = stopped;
  }

  add(...faults: Fault[]): void {
    for (const fault of faults) this.#entries.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#entries = [];
  }

  left(): readonly Fault[] {
    return this.#entries.filter((entry) => entry.left > 0).map((entry) => entry.fault);
  }

  /** The faults that hit this call, used up by it. */
  take(method: string, request: Record<string, unknown>): readonly Fault[] {
    const hits = this.#entries.filter(
      ({ fault, left }) => left > 0 && fault.method === method && isMeant(fault.only, request),
    );
    for (const hit of hits) hit.left -= 1;
    return hits.map((hit) => hit.fault);
  }

  /** Lets the fault happen. */
  async happen(fault: Fault, context: FaultContext): Promise<void> {
    if (fault.delayMs !== undefined) await this.#pause(fault.delayMs);
    if (fault.hang) await this.#forever(context.signal);
    for (const [name, value] of Object.entries(fault.trailers ?? {})) context.setTrailer(name, value);
    if (fault.retryAfterSecs !== undefined) {
      context.setTrailer("grpc-status-details-bin", context.retryPolicy(fault.retryAfterSecs));
    }
    const code = fault.code ?? (fault.retryAfterSecs === undefined ? undefined : Code.RESOURCE_EXHAUSTED);
    if (code !== undefined) throw new Refusal(code, fault.message ?? `injected failure of ${fault.method}`);
  }

  // A client that goes away does not stop what a real server has begun: only the server's own end cuts the wait.
  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms);
      const stopped = this.#stopped;
      function done(): void {
        clearTimeout(timer);
        stopped.removeEventListener("abort", done);
        resolve();
      }
      stopped.addEventListener("abort", done);
      if (stopped.aborted) done();
    });
    if (this.#stopped.aborted) throw new Refusal(Code.UNAVAILABLE, "the server stops");
  }

  #forever(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      const end = () => reject(new Refusal(Code.CANCELLED, "nobody waits any more"));
      const either = AbortSignal.any([signal, this.#stopped]);
      if (either.aborted) end();
      else either.addEventListener("abort", end, { once: true });
    });
  }
}

function isMeant({ program, tagged }: Only = {}, { commandArgs, tags }: Record<string, unknown>): boolean {
  if (tagged && !(Array.isArray(tags) && tags.length > 0)) return false;
  if (program === undefined) return true;
  return Array.isArray(commandArgs) && commandArgs.some((word) => String(word).includes(program));
}
