import { fileURLToPath } from "node:url";
import type { Hooks, PluginInput } from "@opencode-ai/plugin";
import type { Part, UserMessage } from "@opencode-ai/sdk";
import type { Catalog, ChildSessions, OrchestratorSessions, SessionEvent } from "../../core/ports.ts";
import { systemClock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import { createHostIds, randomId } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { memoizeUntilFailure } from "../../shared/memoize-until-failure.ts";
import { toProcessName } from "../../shared/process-identity.ts";
import type { InstructionFiles } from "../../tools/define-tool.ts";
import type { Tool } from "../../tools/tool.ts";
import { typingIn } from "../../views/typing.ts";
import { createJobSessions, type JobSessions, type JobSessionsDeps, type SessionInfo } from "../shared/job-sessions.ts";
import type { Toast } from "../shared/toasts.ts";
import { createImageMessages } from "./attached-images.ts";
import { readCatalog } from "./catalog.ts";
import { createChildSessions } from "./child-sessions.ts";
import { createDelegation, type Delegation, STARTING } from "./delegation.ts";
import { createFirstRequests, type FirstRequests } from "./first-requests.ts";
import { createGivenInstructions } from "./given-instructions.ts";
import { createHandovers, type Handovers } from "./handover.ts";
import { createHostAgents, type HostAgents } from "./host-agents.ts";
import { createHostClient, readSession } from "./host-client.ts";
import { createHostGuard } from "./host-guard.ts";
import { hostLog } from "./host-log.ts";
import { createHostVersion } from "./host-version.ts";
import { openIn } from "./instances.ts";
import { createJobInstances, isOwnInstanceBetter } from "./job-instance.ts";
import { createJobPatches } from "./job-patches.ts";
import { createJobQuestions } from "./job-questions.ts";
import { createOrchestratorModels } from "./orchestrator-models.ts";
import { createOrchestratorSessions } from "./orchestrator-sessions.ts";
import type { UserRules } from "./permission-rules.ts";
import { createSessionEvents } from "./session-events.ts";
import { createShadowedTools, type ShadowedTools } from "./shadowed-tools.ts";
import { createStaleViews } from "./stale-views.ts";
import { createStoppedTurns } from "./stopped-turns.ts";
import { toToolDefinitions } from "./tool-definitions.ts";
import { hideViews } from "./view-parts.ts";
import { untilWhole } from "./whole-instance.ts";
import { extendConfig } from "./worker-agent.ts";

const SKILLS_DIR = fileURLToPath(new URL("../../../skills", import.meta.url));

/** OpenCode 1 behind the ports of the domain, for one directory. */
export interface Adapter {
  readonly sessions: ChildSessions;
  readonly orchestrators: OrchestratorSessions;
  readonly jobSessions: JobSessions;
  catalog(): Promise<Catalog>;
  /** Paths and patterns of the configured instruction files. */
  instructions(): readonly string[];
  readonly log: Log;
  toast(toast: Toast): Promise<unknown>;
  /** The instruction files that OpenCode gives its agents here. */
  instructionFiles(): Promise<InstructionFiles>;
  readonly agents: HostAgents;
  readonly delegation: Pick<Delegation, "isOffered">;
  readonly shadowedTools: Pick<ShadowedTools, "beforeRequest">;
  readonly firstRequests: Pick<FirstRequests, "isSent">;
  /** The id of a new part of a message. */
  partID(): string;
  /** A message is about to be stored in the place of the user's: his own, or one of a plugin's. */
  onUserMessage(message: Pick<UserMessage, "id" | "sessionID" | "model">, parts: readonly Part[]): void;
  /** Must be called before the instance lets go of anything. */
  onDispose(): void;
  /** Ends the instance for jobs, as this one ends. Never rejects. */
  closeJobInstance(): Promise<void>;
  readonly handovers: Handovers;
  /** Resolves once the instance of the directory is whole, which may be another one then. Never rejects. */
  untilWhole(): Promise<void>;
  /** Calls the listener with the session in which the user types, as the part in the terminal UI tells now and then. */
  onTyping(listener: (sessionID: string) => void): void;
  /** Calls the listener with the session whose model has begun to write a call that starts jobs. */
  onStartWritten(listener: (sessionID: string) => void): void;
  /** Calls the listener when the user has stopped a turn; what it returns is shown below that turn, to people alone. */
  onTurnStopped(listener: (sessionID: string) => Promise<string | null>): void;
  toolDefinitions(tools: readonly Tool[]): NonNullable<Hooks["tool"]>;
  /** What isolates jobs from this machine, and what the ports listen to. */
  readonly hooks: Hooks;
}

export interface AdapterDeps extends Pick<JobSessionsDeps, "recordedJob"> {
  /** Where the user's options have the sessions of jobs run. */
  placeOfJobs(): Promise<"auto" | "own" | "shared">;
}

export function createAdapter(
  input: Pick<PluginInput, "client" | "worktree" | "directory">,
  { recordedJob, placeOfJobs }: AdapterDeps,
): Adapter {
  let isDisposed = false;
  let userRules: UserRules = { all: [], agents: {} };
  let instructions: readonly string[] = [];
  let isOwnBetter = false;
  const log = hostLog(input.client);
  const client = createHostClient(input);
  const events = createEmitter<SessionEvent>((error) => log("error", "a listener failed", { reason: String(error) }));
  const hostIDs = createHostIds(() => systemClock.now());
  const models = createOrchestratorModels(client);
  const images = createImageMessages(client);
  const givenInstructions = createGivenInstructions({ client, env: process.env, configured: () => instructions });
  const shadowedTools = createShadowedTools(client);
  const firstRequests = createFirstRequests(systemClock);
  const toSessionEvent = createSessionEvents();
  const agents = createHostAgents(client);
  const delegation = createDelegation(client, agents);
  const catalog = memoizeUntilFailure(() => readCatalog(client, agents, [input.worktree, input.directory], userRules));
  const toast = (shown: Toast) => client.tui.showToast(shown);
  const version = createHostVersion(client, toast, log);
  const jobSessions = createJobSessions({ read: (sessionID) => readSession(client, sessionID), recordedJob });
  const emit = (event: SessionEvent) => events.emit(event);
  async function isOwnWanted(): Promise<boolean> {
    const place = await placeOfJobs();
    return place === "auto" ? isOwnBetter : place === "own";
  }
  const instances = createJobInstances({ input, client, isWanted: isOwnWanted, clock: systemClock, log });
  const questions = createJobQuestions({ instances, jobSessions, emit, clock: systemClock, log });

  const patches = createJobPatches(instances, jobSessions, log);

  const { directory } = input;
  const untilNextIsWhole = () =>
    untilWhole({ client, directory, clock: systemClock, log, open: () => openIn(directory) });
  const self = toProcessName(randomId("view"));
  const staleViews = createStaleViews(client, self);
  const stoppedTurns = createStoppedTurns(client, hostIDs);
  let typing: (sessionID: string) => void = () => {};
  let startWritten: (sessionID: string) => void = () => {};
  let belowStopped: (sessionID: string) => Promise<string | null> = async () => null;
  function afterStop(sessionID: string): void {
    // What the stopped tool leaves comes first.
    systemClock.after(STOPPED_MS, async () => {
      const text = isDisposed ? null : await belowStopped(sessionID).catch(() => null);
      if (text !== null) await stoppedTurns.tell(sessionID, text);
    });
  }

  /** Ids of messages of the user's that the host has not stored yet: until then its model cannot read them. */
  const unstored = new Set<string>();

  return {
    sessions: createChildSessions(instances, events, version.requireSupported, {
      onFollowed: questions.keepLooking,
      onCreating: firstRequests.begins,
      onCreated: staleViews.isNew,
    }),
    orchestrators: createOrchestratorSessions(client, jobSessions.parentOf),
    jobSessions,
    agents,
    delegation,
    shadowedTools,
    firstRequests,
    catalog,
    instructions: () => instructions,
    instructionFiles: givenInstructions.read,
    log,
    toast,
    partID: () => hostIDs("prt"),
    onUserMessage({ id, sessionID, model }, parts) {
      models.learn(sessionID, model);
      images.learn({ id, sessionID }, parts);
      if (parts.some(isOfUser)) unstored.add(id);
      version.report();
      void staleViews.settle(sessionID);
      // Read ahead, so that agents_start waits for nothing but the store.
      givenInstructions.prepare();
      catalog().catch((error) => log("warn", "could not read agents, models and skills", { reason: String(error) }));
    },
    onDispose() {
      isDisposed = true;
      questions.stop();
    },
    closeJobInstance: instances.close,
    handovers: createHandovers({ client, directory, untilWhole: untilNextIsWhole, clock: systemClock, log }),
    untilWhole: untilNextIsWhole,
    onTyping(listener) {
      typing = listener;
    },
    onStartWritten(listener) {
      startWritten = listener;
    },
    onTurnStopped(listener) {
      belowStopped = listener;
    },
    toolDefinitions: (tools) =>
      toToolDefinitions(tools, {
        client,
        clock: systemClock,
        hostIDs,
        self,
        models,
        images,
        agents,
        delegation,
        userRules: () => userRules,
        jobSessions,
        firstRequests,
        isDisposed: () => isDisposed,
      }),
    hooks: {
      config: async (config) => {
        instructions = config.instructions ?? [];
        isOwnBetter = isOwnInstanceBetter(config, input);
        userRules = extendConfig(config, SKILLS_DIR);
      },
      "experimental.chat.messages.transform": async (_input, { messages }) => {
        delegation.learn(messages);
        hideViews(messages);
      },
      ...createHostGuard(shadowedTools, jobSessions),
      event: async ({ event }) => {
        const { type, properties } = event as { type: string; properties: Record<string, unknown> };
        if (type === "session.created" || type === "session.updated") {
          const session = properties.info as SessionInfo & { readonly directory?: string };
          jobSessions.learn(session);
          instances.learn(session);
        }
        await questions.hear(type, properties);
        if (type === "message.part.updated") void patches.hear(properties.part as Part, String(properties.sessionID));
        const typedIn = type === "tui.command.execute" ? typingIn(String(properties.command)) : null;
        if (typedIn !== null) typing(typedIn);
        if (type === "message.part.updated" && isStartWritten(properties.part as Part)) {
          instances.prepare();
          startWritten(String(properties.sessionID));
        }
        const stopped = stoppedTurns.hear(type, properties);
        if (stopped !== null) afterStop(stopped);
        const heard = toSessionEvent({ type, properties });
        if (heard?.kind === "deleted") {
          jobSessions.forget(heard.sessionID);
          delegation.forget(heard.sessionID);
          shadowedTools.forget(heard.sessionID);
        }
        if (heard) events.emit(heard);
        const stored = type === "message.updated" ? (properties.info as { id: string; sessionID: string }) : null;
        if (stored && unstored.delete(stored.id))
          events.emit({ kind: "user_wrote", sessionID: stored.sessionID, messageID: stored.id });
      },
    },
  };
}

/** Plugins mark what they write in the user's place; what the host adds to a file or an agent that the user named is marked as well. */
export const isOfUser = (part: Part): boolean => !("synthetic" in part && part.synthetic === true);

/** OpenCode tells of a call when its name is there, and of its arguments when they are whole. */
const isStartWritten = (part: Part): boolean =>
  part.type === "tool" && part.tool === STARTING && part.state.status === "pending";

/** OpenCode gives a stopped tool a quarter of a second. */
const STOPPED_MS = 500;
