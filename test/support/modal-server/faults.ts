import { Code, Refusal } from "./refusal.ts";

/** What goes wrong with a call. Several faults may apply to one call; each is used up separately. */
export interface Fault {
  /** The method's name on the wire: "SandboxCreateV2", "TaskExecStart". */
  readonly method: string;
  /** Number of calls affected; default 1. */
  readonly times?: number;
  /** "after": the server does its work, and only the reply is affected. Default "before". */
  readonly when?: "before" | "after";
  /** Ends early when the faults are cleared. */
  readonly delayMs?: number;
  /** Does not answer until the client gives up or the server stops. */
  readonly hang?: boolean;
  readonly code?: number;
  readonly message?: string;
  readonly trailers?: Readonly<Record<string, string>>;
  /** The server asks the client to retry later, as Modal does to throttle; code 8 unless `code` is set. */
  readonly retryAfterSecs?: number;
  /** Breaks a stream of replies after this number of messages, or with `hang` lets it fall silent. */
  readonly afterItems?: number;
  /** Affects only matching calls. Data instead of a function, so that it can be sent to the server's process. */
  readonly only?: Only;
}

export interface Only {
  /** Commands that contain this text in one of their words, including the SDK's file tool. */
  readonly program?: string;
  /** Creations of sandboxes with tags. */
  readonly tagged?: true;
}

export interface Faults {
  add(...faults: Fault[]): void;
  clear(): void;
  /** Calls left to affect. */
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
  #cleared = new AbortController();

  constructor(stopped: AbortSignal) {
    this.#stopped = stopped;
  }

  add(...faults: Fault[]): void {
    for (const fault of faults) this.#entries.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#entries = [];
    this.#cleared.abort();
    this.#cleared = new AbortController();
  }

  left(): readonly Fault[] {
    return this.#entries.filter((entry) => entry.left > 0).map((entry) => entry.fault);
  }

  /** Takes the faults that affect this call. */
  take(method: string, request: Record<string, unknown>): readonly Fault[] {
    const hits = this.#entries.filter(
      ({ fault, left }) => left > 0 && fault.method === method && isMeant(fault.only, request),
    );
    for (const hit of hits) hit.left -= 1;
    return hits.map((hit) => hit.fault);
  }

  /** Carries out a fault. */
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

  // A client that goes away does not stop a real server's work, so only the end of the server ends the wait.
  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms);
      const early = AbortSignal.any([this.#stopped, this.#cleared.signal]);
      function done(): void {
        clearTimeout(timer);
        early.removeEventListener("abort", done);
        resolve();
      }
      early.addEventListener("abort", done);
      if (early.aborted) done();
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
