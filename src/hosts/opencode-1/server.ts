import { fileURLToPath } from "node:url";
import type { Hooks, Plugin } from "@opencode-ai/plugin";
import type { SessionEvent } from "../../jobs/core/ports.ts";
import { systemClock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import { createHostIds } from "../../shared/ids.ts";
import { memoizeUntilFailure } from "../../shared/memoize-until-failure.ts";
import { createTools } from "../../tools/all-tools.ts";
import { createProcessTable } from "../../tools/process-table.ts";
import { createJobNews } from "../shared/job-news.ts";
import { createJobSessions, type SessionInfo } from "../shared/job-sessions.ts";
import { createRecordedJobs } from "../shared/recorded-jobs.ts";
import { createRuntimeAccess } from "../shared/runtime-access.ts";
import { createSystemTexts } from "../shared/system-text.ts";
import { createToasts } from "../shared/toasts.ts";
import { readCatalog } from "./catalog.ts";
import { createChildSessions } from "./child-sessions.ts";
import { createHostClient, readSession } from "./host-client.ts";
import { createHostGuard } from "./host-guard.ts";
import { hostLog } from "./host-log.ts";
import { createJobQuestions } from "./job-questions.ts";
import { hideLiveParts } from "./live-part.ts";
import { createOrchestratorModels } from "./orchestrator-models.ts";
import { createOrchestratorSessions } from "./orchestrator-sessions.ts";
import type { UserRules } from "./permission-rules.ts";
import { toSessionEvent } from "./session-events.ts";
import { createSystemTransform } from "./system-transform.ts";
import { toToolDefinitions } from "./tool-definitions.ts";
import { extendConfig } from "./worker-agent.ts";

const SKILLS_DIR = fileURLToPath(new URL("../../../skills", import.meta.url));

/**
 * Puts the plugin together for one directory. OpenCode calls this again for every directory and reload, also while it
 * disposes of an earlier instance, so it only builds objects and touches nothing until something is needed.
 */
export const server: Plugin = async (input, tuple) => {
  let isDisposed = false;
  let userRules: UserRules = { all: [], agents: {} };
  let instructions: readonly string[] = [];
  const log = hostLog(input.client);
  const client = createHostClient(input);
  const events = createEmitter<SessionEvent>((error) => log("error", "a listener failed", { reason: String(error) }));
  const hostIDs = createHostIds(() => systemClock.now());
  const models = createOrchestratorModels(client);
  const catalog = memoizeUntilFailure(() => readCatalog(client, [input.worktree, input.directory], userRules));
  const processes = createProcessTable();
  const toasts = createToasts({ show: (toast) => client.tui.showToast(toast), env: process.env, clock: systemClock });
  const access = createRuntimeAccess({
    directory: input.directory,
    tuple,
    sessions: createChildSessions(client, events),
    orchestrators: createOrchestratorSessions(client),
    catalog,
    log,
    processes,
    onJobEnd: toasts.jobEnded,
    onLowBudget: toasts.budgetLow,
  });
  const recorded = createRecordedJobs(access, log);
  const read = (sessionID: string) => readSession(client, sessionID);
  const jobSessions = createJobSessions({ read, recordedJob: recorded.ofChild });
  const answerInJobs = createJobQuestions(client, jobSessions, log);
  const news = createJobNews({ access, recorded, log });

  const hooks: Hooks = {
    config: async (config) => {
      instructions = config.instructions ?? [];
      userRules = extendConfig(config, SKILLS_DIR);
    },
    tool: toToolDefinitions(
      createTools({
        runtime: access.runtime,
        catalog,
        processes,
        instructions: () => instructions,
        onJobsStarting: () => toasts.jobsStarting(access),
      }),
      { client, clock: systemClock, hostIDs, models, userRules: () => userRules, isDisposed: () => isDisposed },
    ),
    "chat.message": async ({ sessionID }, { message, parts }) => {
      models.learn(sessionID, message.model);
      toasts.optionsRead(access);
      // Read ahead, so that agents_start waits for nothing but the store.
      catalog().catch((error) => log("warn", "could not read agents, models and skills", { reason: String(error) }));
      const text = await news.forMessage(sessionID, message.id);
      if (text === null) return;
      parts.push({ id: hostIDs("prt"), sessionID, messageID: message.id, type: "text", synthetic: true, text });
    },
    "experimental.session.compacting": async ({ sessionID }, { context }) => {
      const text = await news.forSummary(sessionID);
      if (text !== null) context.push(text);
    },
    "experimental.chat.system.transform": createSystemTransform(jobSessions, createSystemTexts(access, catalog)),
    "experimental.chat.messages.transform": async (_input, { messages }) => hideLiveParts(messages),
    ...createHostGuard(client, jobSessions),
    event: async ({ event }) => {
      const { type, properties } = event as { type: string; properties: Record<string, unknown> };
      if (type === "session.created" || type === "session.updated") jobSessions.learn(properties.info as SessionInfo);
      await answerInJobs(type, properties);
      const heard = toSessionEvent({ type, properties });
      if (!heard) return;
      events.emit(heard);
      if (heard.kind === "deleted") {
        jobSessions.forget(heard.sessionID);
        await recorded.forget(heard.sessionID);
      }
    },
    dispose: async () => {
      isDisposed = true;
      const runtime = await access.opened()?.catch(() => null);
      await runtime?.suspend();
    },
  };
  return hooks;
};
