import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Hooks, Plugin } from "@opencode-ai/plugin";
import type { Catalog, SessionEvent } from "../../jobs/core/ports.ts";
import { sessionFile } from "../../jobs/store/session-store.ts";
import { systemClock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import { createHostIds } from "../../shared/ids.ts";
import { createTools } from "../../tools/all-tools.ts";
import { createProcessTable } from "../../tools/process-table.ts";
import { readCatalog } from "./catalog.ts";
import { createChildSessions } from "./child-sessions.ts";
import { createHostClient } from "./host-client.ts";
import { createHostGuard } from "./host-guard.ts";
import { hostLog } from "./host-log.ts";
import { createJobNews } from "./job-news.ts";
import { createJobQuestions } from "./job-questions.ts";
import { hideLiveParts } from "./live-part.ts";
import { createOrchestratorModels } from "./orchestrator-models.ts";
import { createOrchestratorSessions } from "./orchestrator-sessions.ts";
import type { UserRules } from "./permission-rules.ts";
import { createRuntimeAccess } from "./runtime-access.ts";
import { toSessionEvent } from "./session-events.ts";
import { createSessionKinds, type SessionInfo } from "./session-kinds.ts";
import { createSystemText } from "./system-text.ts";
import { createToasts } from "./toasts.ts";
import { toToolDefinitions } from "./tool-definitions.ts";
import { extendConfig } from "./worker-agent.ts";

const SKILLS_DIR = fileURLToPath(new URL("../../../skills", import.meta.url));

/**
 * Puts the plugin together for one directory. The host calls this again for every directory and reload, also while an
 * earlier instance is being disposed: it builds objects and touches nothing until something is needed.
 */
export const server: Plugin = async (input, tuple) => {
  let disposed = false;
  const log = hostLog(input.client);
  const client = createHostClient(input);
  const events = createEmitter<SessionEvent>((error) => log("error", "a listener failed", { reason: String(error) }));
  const models = createOrchestratorModels(client);
  const hostIDs = createHostIds(() => systemClock.now());
  let userRules: UserRules = { all: [], agents: {} };
  let instructions: readonly string[] = [];
  let catalogReading: Promise<Catalog> | null = null;
  const catalog = () => {
    catalogReading ??= readCatalog(client, [input.worktree, input.directory], userRules).catch((error) => {
      catalogReading = null;
      throw error;
    });
    return catalogReading;
  };
  const processes = createProcessTable();
  const sessions = createChildSessions(client, events);
  const orchestrators = createOrchestratorSessions(client);
  const toasts = createToasts(client, process.env, systemClock);
  const access = createRuntimeAccess({
    input,
    tuple,
    sessions,
    orchestrators,
    catalog,
    log,
    processes,
    onJobEnd: toasts.jobEnded,
    onLowBudget: toasts.budgetLow,
  });
  const kinds = createSessionKinds(client, recordedJob);
  const answerInJobs = createJobQuestions(client, kinds, log);
  const systemText = createSystemText({ kinds, access, catalog });
  const telling = createJobNews({ access, bookOf, partID: () => hostIDs("prt"), log });

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
      { client, clock: systemClock, hostIDs, models, userRules: () => userRules, isDisposed: () => disposed },
    ),
    "chat.message": async ({ sessionID }, { message, parts }) => {
      models.learn(sessionID, message.model);
      toasts.optionsRead(access);
      // Read ahead: agents_start is to wait for nothing outside the store.
      catalog().catch((error) => log("warn", "could not read agents, models and skills", { reason: String(error) }));
      await telling.attach(sessionID, message.id, parts);
    },
    "experimental.session.compacting": ({ sessionID }, { context }) => telling.remind(sessionID, context),
    "experimental.chat.system.transform": ({ sessionID }, { system }) => systemText(sessionID, system),
    "experimental.chat.messages.transform": async (_input, { messages }) => hideLiveParts(messages),
    ...createHostGuard(client, kinds),
    event: async ({ event }) => {
      const { type, properties } = event as { type: string; properties: Record<string, unknown> };
      if (type === "session.created" || type === "session.updated") kinds.learn(properties.info as SessionInfo);
      await answerInJobs(type, properties);
      const heard = toSessionEvent({ type, properties });
      if (!heard) return;
      events.emit(heard);
      if (heard.kind === "deleted") {
        kinds.forget(heard.sessionID);
        await forgetSession(heard.sessionID);
      }
    },
    dispose: async () => {
      disposed = true;
      const runtime = await access.opened()?.catch(() => null);
      await runtime?.suspend();
    },
  };

  /** What was recorded for a session, if it ever had jobs; opens nothing for the many that never had. */
  async function bookOf(sessionID: string) {
    const loaded = await access.options();
    if (loaded.kind === "invalid" || !existsSync(sessionFile(loaded.options.stateDir, sessionID))) return null;
    return (await access.runtime()).sessionJobs(sessionID);
  }

  async function recordedJob(sessionID: string, parentID: string) {
    const job = (await bookOf(parentID))?.all().find(({ childSession }) => childSession === sessionID);
    return job ? { job: job.id, orchestrator: parentID } : null;
  }

  /** The hook is not awaited, so nothing may be thrown into it. */
  async function forgetSession(sessionID: string): Promise<void> {
    try {
      if (await bookOf(sessionID)) await (await access.runtime()).forget(sessionID);
    } catch (error) {
      log("error", "could not end the jobs of a deleted session", { sessionID, reason: String(error) });
    }
  }

  return hooks;
};
