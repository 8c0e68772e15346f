import { systemClock } from "../shared/clock.ts";
import { STATE_DIR_HELP } from "./cli-options.ts";
import type { Command } from "./command.ts";
import { createProgress, during } from "./progress.ts";

export const gcCommand: Command = {
  name: "gc",
  summary: "end sandboxes that no job needs any more, and remove expired snapshots",
  help: `
Usage
  opencode-parallel-agents gc [options]

Example
  opencode-parallel-agents gc --json
      does now what running jobs' OpenCode does every few minutes, and prints what was ended and removed

Options
${STATE_DIR_HELP}
  --json              print the result as JSON
  --help              print this
`,
  options: { "state-dir": { type: "string" }, json: { type: "boolean" } },
  mostWords: 0,
  async run({ text, has, print }) {
    const { collectGarbageNow, renderGarbageReport } = await import("./gc.ts");
    const progress = createProgress(process.stderr, systemClock, has("json"));
    const report = await during(progress, "Comparing the sandboxes that exist with the jobs that need them", () =>
      collectGarbageNow(text("state-dir")),
    );
    print(has("json") ? JSON.stringify(report, null, 2) : renderGarbageReport(report));
    return report.failures.length === 0 ? 0 : 1;
  },
};
