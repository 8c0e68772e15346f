import type { ToolContext, ToolDefinition } from "@opencode-ai/plugin";
import type { Clock } from "../../shared/clock.ts";
import { PermissionRefused } from "../../tools/permission.ts";
import type { AskAnswer, Question, Tool, ToolAnswer, ToolCall } from "../../tools/tool.ts";
import type { JobSessions } from "../shared/job-sessions.ts";
import type { ImageMessages } from "./attached-images.ts";
import type { Delegation } from "./delegation.ts";
import type { FirstRequests } from "./first-requests.ts";
import { findForkOrigin } from "./fork-origin.ts";
import type { HostAgents } from "./host-agents.ts";
import type { HostClient } from "./host-client.ts";
import { createLivePart, type LivePart } from "./live-part.ts";
import type { OrchestratorModels } from "./orchestrator-models.ts";
import { forbiddenTo } from "./orchestrator-rules.ts";
import type { UserRules } from "./permission-rules.ts";

export interface ToolDefinitionDeps {
  readonly client: HostClient;
  readonly clock: Clock;
  readonly hostIDs: (prefix: "prt") => string;
  /** The name of this instance, by which others know whether it still runs. */
  readonly self: string;
  readonly models: Pick<OrchestratorModels, "of">;
  readonly images: Pick<ImageMessages, "answeredBy">;
  readonly agents: HostAgents;
  readonly delegation: Pick<Delegation, "askedAs">;
  readonly userRules: () => UserRules;
  readonly jobSessions: Pick<JobSessions, "jobOf" | "parentOf">;
  readonly firstRequests: Pick<FirstRequests, "sent">;
  /** Whether OpenCode is disposing of this instance. */
  readonly isDisposed: () => boolean;
}

/** Our tools as OpenCode 1 takes them, by name. */
export const toToolDefinitions = (tools: readonly Tool[], deps: ToolDefinitionDeps): Record<string, ToolDefinition> =>
  Object.fromEntries(tools.map((tool) => [tool.name, toToolDefinition(tool, deps)]));

function toToolDefinition(tool: Tool, deps: ToolDefinitionDeps): ToolDefinition {
  return {
    description: tool.description,
    args: tool.args,
    async execute(args: unknown, context: ToolContext) {
      const asking = createAsking(context);
      const { sessionID, messageID, abort, callID = "" } = context as ToolContext & { callID?: string };
      const address = { sessionID, messageID, callID };
      const part = createLivePart(deps.client, deps.clock, deps.hostIDs, address, abort, deps.self);
      try {
        const answer = await tool.run(args, toToolCall(context, deps, asking.ask, part));
        const { view, started = [] } = answer;
        if (started.length > 0) await deps.firstRequests.sent(started, abort);
        if (view && started.length > 0) deps.clock.after(AFTER_START_MS, () => void leave(part, view, sessionID, deps));
        else if (view) await leave(part, view, sessionID, deps);
        return toToolResult(answer);
      } catch (error) {
        throw error instanceof PermissionRefused ? asking.refusal() : error;
      } finally {
        // OpenCode has given up the turn by now. A tool that still answered would make it go on with that turn, and so
        // start the next instance half, without what our config hook adds. @source OpenCode 1.18.33, verified
        if (deps.isDisposed()) await new Promise<never>(() => {});
      }
    },
  } as ToolDefinition;
}

/** @source OpenCode 1.18.33, verified: attachments reach the model with the next request, and are kept in OpenCode's store */
function toToolResult({ attachments = [], view: _, started: __, ...answer }: ToolAnswer) {
  if (attachments.length === 0) return answer;
  return {
    ...answer,
    attachments: attachments.map(({ mime, name, bytes }) => ({
      type: "file" as const,
      mime,
      filename: name,
      url: `data:${mime};base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")}`,
    })),
  };
}

/**
 * What a call that has started jobs shows is written once their models are asked, as a rule: OpenCode does one thing at a
 * time, and until then everything it does besides comes before a job's first request.
 */
const AFTER_START_MS = 1_000;

/**
 * Nothing stays in a session of OpenCode's own subagents: where a turn ends with a tool call, OpenCode takes the last text
 * of that message for the subagent's answer.
 * @source OpenCode 1.18.33, read in the binary
 */
async function leave(part: LivePart, view: () => string, sessionID: string, deps: ToolDefinitionDeps): Promise<void> {
  if (deps.isDisposed()) return;
  try {
    const isJob = (await deps.jobSessions.jobOf(sessionID)) !== null;
    if (!isJob && (await deps.jobSessions.parentOf(sessionID)) !== null) return;
    await part.leave(view());
  } catch {
    // what people cannot be shown does not fail the tool
  }
}

/** What OpenCode gives a tool, though its types do not say so. @source OpenCode 1.18.33, read in the binary */
interface HostContext {
  readonly callID?: string;
  readonly extra?: { readonly model?: HostModel };
  /** The session as it was when the call's step began. */
  readonly messages?: readonly { readonly info: { readonly id: string; readonly role: string } }[];
}

interface HostModel {
  readonly capabilities?: { readonly input?: { readonly image?: boolean; readonly pdf?: boolean } };
}

function toToolCall(context: ToolContext, deps: ToolDefinitionDeps, ask: ToolCall["ask"], part: LivePart): ToolCall {
  const { sessionID, messageID, agent, directory, abort } = context;
  const { callID = "", extra, messages = [] } = context as HostContext;
  return {
    sessionID,
    messageID,
    callID,
    agent,
    directory,
    abort,
    model: () => deps.models.of({ sessionID, messageID }),
    imagesFrom() {
      const asked = messages.findLast(({ info }) => info.role === "user");
      return deps.images.answeredBy({ sessionID, messageID }, asked?.info.id ?? null);
    },
    forbiddenToJobs: () => forbiddenTo({ sessionID, agent }, deps.delegation.askedAs, deps.agents, deps.userRules()),
    sees: (kind) => extra?.model?.capabilities?.input?.[kind] ?? null,
    forkedFrom: (jobIDs) => findForkOrigin(deps.client, sessionID, jobIDs),
    job: () => deps.jobSessions.jobOf(sessionID),
    progress: () => part,
    ask,
  };
}

/**
 * Asks as OpenCode's own tools do: allowed without a question unless the user has configured the permission. OpenCode
 * knows its own refusals by their class and tells the model of them, so the original error is kept for it.
 */
function createAsking({ ask, abort }: Pick<ToolContext, "ask" | "abort">) {
  let refusal: unknown = null;
  return {
    refusal: () => refusal,
    async ask({ permission, patterns, metadata }: Question): Promise<AskAnswer> {
      // OpenCode leaves a question of a stopped turn unanswered forever.
      const { promise: stopped, resolve } = Promise.withResolvers<AskAnswer>();
      const stop = () => resolve("cannot_ask");
      abort.addEventListener("abort", stop);
      try {
        if (abort.aborted) return "cannot_ask";
        const request = { permission, patterns: [...patterns], always: ["*"], metadata: { ...metadata } };
        const asked = ask(request).then(
          (): AskAnswer => "allowed",
          (error): AskAnswer => {
            refusal = error;
            return "refused";
          },
        );
        return await Promise.race([stopped, asked]);
      } finally {
        abort.removeEventListener("abort", stop);
      }
    },
  };
}
