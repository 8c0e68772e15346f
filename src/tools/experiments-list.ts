import { z } from "zod";
import { listExperiments } from "../jobs/actions/list-experiments.ts";
import { renderLeaderboard, renderLeaderboardView } from "../prompt/leaderboard.ts";
import { toMarkdown } from "../prompt/quoted-text.ts";
import { EXPERIMENTS_LIST } from "../prompt/tool-descriptions.ts";
import { countExperiments, MOST_LISTED } from "../views/leaderboard.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";

export const experimentsListTool = (deps: ToolDeps) =>
  defineTool({
    name: "experiments_list",
    description: EXPERIMENTS_LIST,
    args: {
      metric: z
        .string()
        .optional()
        .describe("Metric to rank by; default what was compared by last, else the most usual."),
      direction: z
        .enum(["min", "max"])
        .optional()
        .describe('Whether a smaller ("min") or a larger ("max") value is better; default what the benchmark says.'),
      limit: z
        .number()
        .int()
        .min(1)
        .max(MOST_LISTED)
        .optional()
        .describe(`Experiments to show; default 20, at most ${MOST_LISTED}.`),
      scope: z
        .enum(["project", "session"])
        .optional()
        .describe('"session" shows those of this session only; default all of the project, as far as the user allows.'),
    },
    asks: ({ metric }) => (metric === undefined ? [] : [metric]),
    async run(request, call) {
      const runtime = await deps.runtime();
      const board = await listExperiments(runtime, call.sessionID, request);
      const { metric, entries, count, noise } = board;
      return {
        title: metric === null ? "no experiments" : `${countExperiments(entries)} of ${count} experiments by ${metric}`,
        output: [renderLeaderboard(board), ...runtime.ledger.problems()].join("\n"),
        view: () =>
          [renderLeaderboardView(board), ...runtime.ledger.problems().map((one) => toMarkdown(one))].join("\n"),
        metadata: { experiments: entries.map(({ view }) => view), noise },
      };
    },
  });
