import { fileURLToPath } from "node:url";
import type { Hooks, Plugin, PluginInput } from "@opencode-ai/plugin";
import { renderGoOn } from "../../prompt/job-board.ts";
import { systemClock } from "../../shared/clock.ts";
import { createSerialQueues } from "../../shared/serial-queues.ts";
import { createTools } from "../../tools/all-tools.ts";
import { createProcessTable } from "../../tools/process-table.ts";
import { createJobNews } from "../shared/job-news.ts";
import { createJobSkills } from "../shared/job-skills.ts";
import { createRecordedJobs } from "../shared/recorded-jobs.ts";
import { createRuntimeAccess } from "../shared/runtime-access.ts";
import { createSystemTexts } from "../shared/system-text.ts";
import { createToasts } from "../shared/toasts.ts";
import { createWarmUp } from "../shared/warm-up.ts";
import { createAdapter, isOfUser } from "./adapter.ts";
import { join } from "./instances.ts";
import { describeLater, loadOnce } from "./load-once.ts";
import { createSystemTransform } from "./system-transform.ts";

/** Where this copy of the plugin lies. */
const ROOT = fileURLToPath(new URL("../../..", import.meta.url)).replace(/[\\/]$/, "");

/** What OpenCode calls; once for an instance, however often its configuration names the plugin. */
export const server: Plugin = (input, tuple) => loadOnce(input, ROOT, (later) => putTogether(input, tuple, later));

/**
 * Puts the plugin together for one directory. OpenCode calls this again for every directory and reload, also while it
 * disposes of an earlier instance, so it only builds objects and touches nothing until something is needed.
 */
async function putTogether(input: PluginInput, tuple: unknown, later: readonly string[]): Promise<Hooks> {
  const adapter = createAdapter(input, {
    recordedJob: (sessionID, parentID) => recorded.ofChild(sessionID, parentID),
    async placeOfJobs() {
      const loaded = await access.options();
      return loaded.kind === "ok" ? loaded.options.jobSessions : "shared";
    },
  });
  const {
    sessions,
    orchestrators,
    jobSessions,
    agents,
    delegation,
    shadowedTools,
    catalog,
    instructions,
    instructionFiles,
    log,
    hooks,
  } = adapter;
  const processes = createProcessTable();
  const toasts = createToasts({ show: adapter.toast, env: process.env, clock: systemClock });
  const access = createRuntimeAccess({
    directory: input.directory,
    tuple,
    notices: () => describeLater(ROOT, later),
    sessions,
    orchestrators,
    catalog,
    instructions,
    log,
    processes,
    onJobEnd: toasts.jobEnded,
    onUndone: toasts.undone,
    onLowBudget: toasts.budgetLow,
    onDamage: toasts.damaged,
  });
  const skills = createJobSkills(access, catalog);
  const recorded = createRecordedJobs(access, log);
  const news = createJobNews({ access, recorded, log });
  const warmUp = createWarmUp({ access, jobSessions, log });
  adapter.onTyping(warmUp.used);
  adapter.onStartWritten(warmUp.startWritten);
  const onJobsStarting = () => toasts.jobsStarting(access);
  sessions.on(({ kind, sessionID }) => {
    if (kind === "deleted") void recorded.forget(sessionID);
  });
  adapter.onTurnStopped(async (sessionID) => {
    const jobs = (await recorded.startedBy(sessionID))?.all() ?? [];
    return renderGoOn(jobs);
  });
  const stopTaking = adapter.handovers.onTaken((orchestratorIDs) => {
    for (const sessionID of orchestratorIDs) void recorded.resume(sessionID);
  });

  const own: Hooks = {
    ...hooks,
    tool: adapter.toolDefinitions(
      createTools({
        runtime: access.runtime,
        catalog,
        processes,
        fileChanges: createSerialQueues(),
        instructions,
        instructionFiles,
        onJobsStarting,
      }),
    ),
    "chat.message": async ({ sessionID }, { message, parts }) => {
      adapter.onUserMessage(message, parts);
      toasts.optionsRead(access);
      if (parts.some(isOfUser)) warmUp.used(sessionID);
      const text = await news.forMessage(sessionID, message.id);
      if (text === null) return;
      parts.push({ id: adapter.partID(), sessionID, messageID: message.id, type: "text", synthetic: true, text });
    },
    "experimental.session.compacting": async ({ sessionID }, { context }) => {
      const text = await news.forSummary(sessionID);
      if (text !== null) context.push(text);
    },
    "experimental.chat.system.transform": createSystemTransform({
      jobSessions,
      texts: createSystemTexts(access, catalog, log),
      agents,
      delegation,
      shadowedTools,
      firstRequests: adapter.firstRequests,
      log,
    }),
    "tool.execute.after": async ({ tool, sessionID, args }, answer) => {
      const mark = tool === "skill" ? await jobSessions.jobOf(sessionID) : null;
      if (!mark) return;
      answer.metadata = {}; // it names a folder of this machine
      answer.output = await skills.load(mark, String((args as { name?: unknown } | undefined)?.name));
    },
    dispose: async () => {
      adapter.onDispose();
      stopTaking();
      const runtime = await access.opened()?.catch(() => null);
      const suspended = await runtime?.suspend();
      await adapter.closeJobInstance();
      if (suspended) await adapter.handovers.give(suspended);
    },
  };
  return join(input, own, adapter.untilWhole);
}
