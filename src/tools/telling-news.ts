import { newsFor, withTold } from "../core/briefing.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { renderNews } from "../prompt/worker-block.ts";
import type { ToolDeps } from "./define-tool.ts";
import type { Tool } from "./tool.ts";

/**
 * In a job whose model was asked before its sandbox was there, the first tool that answers afterwards also tells what was not
 * known of it then.
 */
export const tellingNews = (deps: Pick<ToolDeps, "runtime">, tool: Tool): Tool => ({
  ...tool,
  async run(args, call) {
    try {
      const answer = await tool.run(args, call);
      const runtime = await deps.runtime().catch(() => null); // the answer says why
      const news = runtime ? takeNews(runtime, call.sessionID) : "";
      return news === "" ? answer : { ...answer, output: `${news}${answer.output}` };
    } finally {
      await call.progress().stop(); // which may still show that it waits
    }
  },
});

function takeNews(runtime: Runtime, sessionID: string): string {
  const worker = runtime.workers.owesNews(sessionID) ? runtime.worker(sessionID) : null;
  const job = worker?.sessionJobs.get(worker.jobID);
  const sandbox = job ? runtime.lifecycle.live(job.id) : null;
  if (!worker || !job || !sandbox) return "";
  const news = newsFor(job, sandbox);
  worker.sessionJobs.update(job.id, (current) => withTold(current, news.notes));
  runtime.workers.settleNews(sessionID);
  return renderNews(news);
}
