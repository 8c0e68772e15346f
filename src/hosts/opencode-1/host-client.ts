import type { PluginInput } from "@opencode-ai/plugin";
import { createOpencodeClient, type OpencodeClient } from "@opencode-ai/sdk/v2/client";
import { type ErrorCode, PluginError } from "../../shared/error-code.ts";
import { withoutKeys } from "../../shared/without-keys.ts";
import { reachDirectly } from "./own-address.ts";

export type HostClient = OpencodeClient;
type ClientConfig = NonNullable<Parameters<typeof createOpencodeClient>[0]>;

/**
 * The complete client of OpenCode over the transport it gave us: in-process under `run` and the terminal UI, loopback
 * HTTP with its credentials elsewhere. Never built from `serverUrl`: under `run` nothing listens there.
 * @param directory whose instance is asked; left out, that of the input
 * @throws Error in words for the user, when this OpenCode has no such transport
 * @source OpenCode 1.18.33, verified over both transports
 */
export function createHostClient(input: Pick<PluginInput, "client">, directory?: string): HostClient {
  const transport = transportOf(input);
  reachDirectly(process.env, transport.baseUrl);
  // The SDK spreads headers, and nothing is left of a `Headers` object: OpenCode would miss its password.
  const headers = Object.fromEntries(new Headers(transport.headers));
  return createOpencodeClient({ ...transport, headers, ...(directory !== undefined && { directory }) } as ClientConfig);
}

/** What OpenCode gives for an address where it listens to nobody. A server has this one only if its user asks for the name. */
const NO_ADDRESS = "http://localhost:4096";

/** Whether this OpenCode listens to others, such as a web page. Under `run` and the terminal UI it is alone. */
export const isServer = (input: Pick<PluginInput, "client">): boolean => transportOf(input).baseUrl !== NO_ADDRESS;

interface Transport {
  readonly baseUrl?: unknown;
  readonly headers?: ConstructorParameters<typeof Headers>[0];
}

function transportOf(input: Pick<PluginInput, "client">): Transport {
  const { _client } = (input.client ?? {}) as unknown as { _client?: { getConfig?(): Transport } };
  if (typeof _client?.getConfig !== "function") {
    throw new Error(
      "opencode-parallel-agents cannot work in this version of OpenCode; it needs OpenCode 1.18 or a later 1.x.",
    );
  }
  return _client.getConfig();
}

/** The data of a call. The client resolves with errors; they become a `PluginError` that says what was attempted. */
export async function unwrap<T>(call: Promise<Answer<T>>, code: ErrorCode, doing: string): Promise<NonNullable<T>> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (cause) {
    throw new PluginError(code, `Could not ${doing}: ${describe(cause)}`, { cause, retryable: true });
  }
  if (answer.error !== undefined) {
    throw new PluginError(code, `Could not ${doing}: ${describeAnswer(answer)}`, { cause: answer.error });
  }
  return answer.data as NonNullable<T>;
}

interface Answer<T> {
  readonly data?: T;
  readonly error?: unknown;
  /** Missing where there was no answer. */
  readonly response?: Response;
}

function describeAnswer({ error, response }: Answer<unknown>): string {
  return response ? `${describe(error)} (HTTP status ${response.status})` : describe(error);
}

/** OpenCode's errors are `{ name, data: { message } }`, `{ _tag, … }`, or plain Errors. Providers may quote the user's key. */
export function describe(error: unknown): string {
  const { statusCode } = (error as { data?: { statusCode?: unknown } } | null)?.data ?? {};
  return withoutKeys(firstLine(reasonOf(error)), statusCode === 401 || statusCode === 403); // some carry a stack of OpenCode's code
}

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? "";

function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error === "object" && error !== null) {
    const { data, message, name, _tag } = error as Record<string, unknown>;
    const inner = (data as { message?: unknown } | undefined)?.message ?? message;
    if (typeof inner === "string" && inner !== "") return inner;
    if (typeof name === "string") return name;
    if (typeof _tag === "string") return _tag;
  }
  return typeof error === "string" ? error : "OpenCode gave no reason";
}

/** @throws PluginError `not_found` */
export const readSession = (client: Pick<HostClient, "session">, sessionID: string) =>
  unwrap(client.session.get({ sessionID }), "not_found", `read the session ${sessionID}`);
