import type { ToolPart } from "@opencode-ai/sdk/v2/client";
import type { EnvironmentView } from "../../src/views/environment-view.ts";
import type { JobView, SnapshotView } from "../../src/views/job-view.ts";
import type { ModelReply } from "./model-server.ts";
import type { OpencodeServer } from "./opencode.ts";
import { call, say, script } from "./scripted.ts";

/** The answer of one of our tools. `metadata` has the fields of that tool only. */
export interface ToolAnswer {
  readonly output: string;
  readonly metadata: {
    readonly jobs: readonly JobView[];
    readonly reason: string;
    readonly finished: readonly JobView[];
    readonly pending: readonly JobView[];
    readonly pool: { readonly running: number; readonly queued: number; readonly limit: number; readonly gpus: object };
    readonly spend: {
      readonly usd: number;
      readonly modelUsd: number;
      readonly computeUsd: number;
      readonly budgetUsd: number | null;
    };
    readonly snapshots: readonly SnapshotView[];
    readonly environments: readonly EnvironmentView[];
    readonly error?: { readonly code: string; readonly message: string; readonly retryable: boolean | null };
  } & SnapshotView;
}

/** Has a session's model call these tools one after another, then end its turn. Returns their answers in order. */
export async function turn(server: OpencodeServer, sessionID: string, ...replies: ModelReply[]): Promise<ToolAnswer[]> {
  // By their ids: a message that was there before may be removed meanwhile.
  const before = new Set((await server.messages(sessionID)).map((message) => message.info.id));
  const { info } = await server.prompt(sessionID, script(...replies, say("done")));
  const since = (await server.messages(sessionID))
    .filter((message) => !before.has(message.info.id))
    .flatMap((message) => message.parts);
  if (!since.some((part) => part.type === "text" && part.text === "done")) {
    throw new Error(`the turn broke off: ${JSON.stringify(info)}`);
  }
  return since.filter((part) => part.type === "tool").map(answerOf);
}

/** Has a session's model call one tool and end its turn. Returns the tool's answer. */
export async function ask(server: OpencodeServer, sessionID: string, reply: ModelReply): Promise<ToolAnswer> {
  const [answer] = await turn(server, sessionID, reply);
  if (!answer) throw new Error("no tool was called");
  return answer;
}

export function answerOf(part: ToolPart): ToolAnswer {
  if (part.state.status !== "completed")
    throw new Error(`${part.tool} did not complete: ${JSON.stringify(part.state)}`);
  return { output: part.state.output, metadata: part.state.metadata as unknown as ToolAnswer["metadata"] };
}

/** A call to agents_start. */
export const start = (...tasks: unknown[]): ModelReply => call("agents_start", { tasks });

/** A task whose job plays these replies; the text of the last one is its result. */
export const task = (description: string, ...replies: ModelReply[]) => ({ description, prompt: script(...replies) });

export const wait = (args: object = {}): ModelReply => call("agents_wait", args);
export const status = (...jobs: string[]): ModelReply => call("agents_status", jobs.length > 0 ? { jobs } : {});
export const message = (job: string, text: string, more: object = {}): ModelReply =>
  call("agents_message", { job, message: text, ...more });
export const cancel = (...jobs: string[]): ModelReply => call("agents_cancel", { jobs });
export const shell = (command: string, args: object = {}): ModelReply => call("sandbox_exec", { command, ...args });

/** Outputs of one tool's calls in a job's session, in order. */
export async function outputsOf(server: OpencodeServer, job: JobView | undefined, tool: string): Promise<string[]> {
  if (!job?.sessionID) throw new Error(`the job has no session: ${JSON.stringify(job)}`);
  return (await server.toolParts(job.sessionID, tool)).map((part) => answerOf(part).output);
}

/** Runs one job that makes these calls. Returns its tools' answers in order. */
export async function inJob(server: OpencodeServer, ...replies: ModelReply[]): Promise<JobToolAnswer[]> {
  const session = await server.createSession();
  const [, waited] = await turn(server, session.id, start(task("calls tools", ...replies, say("done"))), wait());
  const job = waited?.metadata.finished[0];
  if (job?.state !== "completed") throw new Error(`the job broke off: ${JSON.stringify(job)}`);
  const parts = (await server.messages(job.sessionID as string)).flatMap((message) => message.parts);
  return parts.filter((part) => part.type === "tool").map((part) => answerOf(part) as unknown as JobToolAnswer);
}

export interface JobToolAnswer {
  readonly output: string;
  readonly metadata: Record<string, unknown> & { readonly error?: { readonly code: string } };
}
