import type { ModalWire, ServiceDefinition } from "./definitions.ts";
import type { Fault, FaultBook, FaultContext } from "./faults.ts";
import { Code, Refusal } from "./refusal.ts";

/*
 * Implements every method of a service definition, so that each call is recorded, authenticated and open to faults. Methods
 * without a handler answer UNIMPLEMENTED.
 */

export interface Call {
  readonly plane: "control" | "router";
  /** The method's name on the wire: "SandboxCreateV2". */
  readonly method: string;
  /** The request, or the first message of a stream of requests. Byte fields are cut to 4 KiB. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly at: number;
  /** gRPC code of the answer: 0 = success, null = still running. */
  code: number | null;
}

export interface CallContext {
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
}

/** Takes a request or an iterable of requests, and returns a reply or an iterable of replies. */
// biome-ignore lint/suspicious/noExplicitAny: each handler names the shape of its own request
export type Handler = (request: any, context: CallContext) => unknown;
export type Handlers = Readonly<Record<string, Handler>>;

export interface ServiceDeps {
  readonly wire: ModalWire;
  readonly plane: Call["plane"];
  readonly handlers: Handlers;
  readonly faults: FaultBook;
  readonly calls: Call[];
  authenticate(method: string, context: CallContext, request: Record<string, unknown>): void;
  /** Resolves when the server begins with the call. */
  turn(method: string, request: Record<string, unknown>): Promise<void>;
}

interface GrpcContext {
  readonly metadata: { get(name: string): string | undefined };
  readonly trailer: { set(name: string, value: string | Uint8Array): void };
  readonly signal: AbortSignal;
}

type Fields = Record<string, unknown>;

export function implement(definition: ServiceDefinition, deps: ServiceDeps): Record<string, unknown> {
  for (const name of Object.keys(deps.handlers)) {
    if (!Object.values(definition.methods).some((method) => method.name === name))
      throw new Error(`${definition.fullName} has no method ${name}`);
  }
  return Object.fromEntries(
    Object.entries(definition.methods).map(([key, method]) => {
      const { name, requestStream, responseStream } = method;
      if (requestStream && responseStream)
        return [key, async () => fail(deps, new Refusal(Code.UNIMPLEMENTED, `${name}: both ways streamed`))];
      if (responseStream) return [key, (request: Fields, grpc: GrpcContext) => serveStream(name, request, grpc, deps)];
      if (requestStream)
        return [key, (requests: AsyncIterable<Fields>, grpc: GrpcContext) => serveUpload(name, requests, grpc, deps)];
      return [key, (request: Fields, grpc: GrpcContext) => serveUnary(name, request, grpc, deps)];
    }),
  );
}

async function serveUnary(name: string, request: Fields, grpc: GrpcContext, deps: ServiceDeps): Promise<unknown> {
  const { call, faults, context, faultContext } = begin(name, request, grpc, deps);
  try {
    deps.authenticate(name, context, request);
    await happen(faults, "before", faultContext, deps);
    await deps.turn(name, request);
    const reply = await handlerOf(name, deps)(request, context);
    await happen(faults, "after", faultContext, deps);
    call.code = 0;
    return reply;
  } catch (error) {
    return fail(deps, error, call);
  }
}

async function serveUpload(
  name: string,
  requests: AsyncIterable<Fields>,
  grpc: GrpcContext,
  deps: ServiceDeps,
): Promise<unknown> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const request = first.done ? {} : first.value;
  const rest = async function* () {
    if (!first.done) yield first.value;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  };
  const { call, faults, context, faultContext } = begin(name, request, grpc, deps);
  try {
    deps.authenticate(name, context, (request.start as Fields | undefined) ?? request);
    await happen(faults, "before", faultContext, deps);
    await deps.turn(name, (request.start as Fields | undefined) ?? request);
    const reply = await handlerOf(name, deps)(cutShort(rest(), faults, faultContext, deps), context);
    await happen(faults, "after", faultContext, deps);
    call.code = 0;
    return reply;
  } catch (error) {
    return fail(deps, error, call);
  }
}

async function* serveStream(
  name: string,
  request: Fields,
  grpc: GrpcContext,
  deps: ServiceDeps,
): AsyncGenerator<unknown> {
  const { call, faults, context, faultContext } = begin(name, request, grpc, deps);
  try {
    deps.authenticate(name, context, request);
    await happen(faults, "before", faultContext, deps);
    await deps.turn(name, request);
    yield* cutShort(handlerOf(name, deps)(request, context) as AsyncIterable<unknown>, faults, faultContext, deps);
    await happen(faults, "after", faultContext, deps);
    call.code = 0;
  } catch (error) {
    fail(deps, error, call);
  } finally {
    call.code ??= Code.CANCELLED;
  }
}

function begin(name: string, request: Fields, grpc: GrpcContext, deps: ServiceDeps) {
  const call: Call = { plane: deps.plane, method: name, request: shortened(request), at: Date.now(), code: null };
  deps.calls.push(call);
  const faultContext: FaultContext = {
    signal: grpc.signal,
    setTrailer: (key, value) => grpc.trailer.set(key, value),
    retryPolicy: (retryAfterSecs) => encodeRetryPolicy(retryAfterSecs, deps.wire),
  };
  const context: CallContext = { signal: grpc.signal, header: (key) => grpc.metadata.get(key) };
  return {
    call,
    context,
    faultContext,
    faults: deps.faults.take(name, (request.start as Fields | undefined) ?? request),
  };
}

async function happen(
  faults: readonly Fault[],
  when: "before" | "after",
  context: FaultContext,
  deps: ServiceDeps,
): Promise<void> {
  for (const fault of faults) {
    if ((fault.when ?? "before") === when && fault.afterItems === undefined) await deps.faults.happen(fault, context);
  }
}

async function* cutShort<T>(
  items: AsyncIterable<T>,
  faults: readonly Fault[],
  context: FaultContext,
  deps: ServiceDeps,
): AsyncGenerator<T> {
  const fault = faults.find((each) => each.afterItems !== undefined);
  let left = fault?.afterItems ?? Number.POSITIVE_INFINITY;
  const broken = () => new Refusal(fault?.code ?? Code.UNAVAILABLE, fault?.message ?? "injected break of a stream");
  const cut = async () => {
    if (fault?.hang) await deps.faults.happen(fault, context);
    throw broken();
  };
  if (left === 0) await cut();
  for await (const item of items) {
    yield item;
    left -= 1;
    if (left === 0) await cut();
  }
}

function handlerOf(name: string, deps: ServiceDeps): Handler {
  const handler = deps.handlers[name];
  if (!handler) throw new Refusal(Code.UNIMPLEMENTED, `The test server does not implement ${name}.`);
  return handler;
}

function fail(deps: ServiceDeps, error: unknown, call?: Call): never {
  const refusal =
    error instanceof Refusal
      ? error
      : new Refusal(Code.INTERNAL, `The test server itself failed: ${(error as Error)?.stack ?? error}`);
  if (call) call.code = refusal.code;
  throw deps.wire.createError(refusal.code, refusal.message);
}

function shortened(request: Fields): Fields {
  return Object.fromEntries(
    Object.entries(request).map(([key, value]) => [
      key,
      value instanceof Uint8Array && value.length > 4096 ? value.slice(0, 4096) : value,
    ]),
  );
}

function encodeRetryPolicy(retryAfterSecs: number, wire: ModalWire): Uint8Array {
  const value = wire.rpcRetryPolicy.encode(wire.rpcRetryPolicy.fromPartial({ retryAfterSecs })).finish();
  const details = [{ typeUrl: "type.googleapis.com/modal.client.RPCRetryPolicy", value }];
  const status = wire.rpcStatus
    .encode(wire.rpcStatus.fromPartial({ code: Code.RESOURCE_EXHAUSTED, message: "throttled", details }))
    .finish();
  return Buffer.from(status);
}
